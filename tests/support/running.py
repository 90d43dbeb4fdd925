"""A running product for tests that speak to it as its users do: import the fixtures you need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.wire import Wire
from teachback.bench.product import Product, running

__all__ = ["open_folder", "own_product", "product", "wire"]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The installed product, started as users start it; shared by tests that leave it whole."""
    with running(open_folder(tmp_path_factory.mktemp("product")) / "data") as product:
        yield product


@pytest.fixture
def own_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product for one test, which may break it."""
    with running(open_folder(tmp_path_factory.mktemp("product")) / "data") as product:
        yield product


@pytest.fixture(scope="session")
def wire(product: Product) -> Wire:
    """Speaks to the shared product with a secret key."""
    return Wire(product.port, product.key())


def open_folder(folder: Path) -> Path:
    """Let others pass to a test's folder: as root, PostgreSQL runs as another user."""
    for parent in (folder, *folder.parents):
        if parent.name.startswith(("pytest-", "popen-", "product", "test_")):
            parent.chmod(0o755)
    return folder
