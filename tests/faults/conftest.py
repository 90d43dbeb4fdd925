"""A running product of its own for the tests that mistreat it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.wire import Wire
from teachback.bench.product import Product, running


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The installed product, started as users start it; shared by tests that leave it whole."""
    with running(_open_folder(tmp_path_factory) / "data") as product:
        yield product


@pytest.fixture
def own_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product for one test, which may break it."""
    with running(_open_folder(tmp_path_factory) / "data") as product:
        yield product


@pytest.fixture(scope="session")
def wire(product: Product) -> Wire:
    return Wire(product.port, product.key())


def _open_folder(factory: pytest.TempPathFactory) -> Path:
    """PostgreSQL runs as another user when we are root: let it pass through pytest's folders."""
    folder = factory.mktemp("product")
    for parent in (folder, *folder.parents):
        if parent.name.startswith(("pytest-", "popen-", "product")):
            parent.chmod(0o755)
    return folder
