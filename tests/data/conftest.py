"""The public data sets, and a product to send them to."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from support.running import product, wire

__all__ = ["load", "product", "wire"]

Load = Callable[[str], Iterable[dict[str, Any]]]


@pytest.fixture(scope="session")
def load() -> Load:
    """Read one of the data sets by its name: load("feedbackqa")."""
    folder = Path(os.environ.get("TEACHBACK_DATA", "."))
    if not (folder / "load.py").is_file():
        pytest.skip("no public data: set TEACHBACK_DATA to the folder that holds load.py")
    loaders = runpy.run_path(str(folder / "load.py"))
    return lambda name: list(loaders[name]())
