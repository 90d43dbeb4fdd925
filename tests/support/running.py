"""A running product for tests that speak to it as its users do: import the fixtures you need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.upstream import Upstream
from support.wire import Wire
from teachback.bench.product import Product, running, scratch

__all__ = ["own_product", "product", "wire"]


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The installed product, started as users start it; shared by tests that leave it whole.

    A model provider on loopback stands behind its gateway.
    """
    with (
        Upstream() as upstream,
        scratch() as folder,
        running(folder / "data", upstream.variables) as product,
    ):
        yield product


@pytest.fixture
def own_product() -> Iterator[Product]:
    """A product for one test, which may break it."""
    with scratch() as folder, running(folder / "data") as product:
        yield product


@pytest.fixture(scope="session")
def wire(product: Product) -> Wire:
    """Speaks to the shared product with a secret key."""
    return Wire(product.port, product.key())
