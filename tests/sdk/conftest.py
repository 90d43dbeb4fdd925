"""What the SDK's tests share: a stand-in for the server and clients that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sdk.stub import Stub
from teachback import Client

KEY = "tb_sk_k1_0123456789abcdef"
MakeClient = Callable[..., Client]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server that says yes to everything until told otherwise."""
    with Stub() as running:
        yield running


@pytest.fixture
def make_client(stub: Stub, tmp_path: Path) -> Iterator[MakeClient]:
    """Makes clients of the stub with a spool of their own, closed after the test."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        given: dict[str, Any] = {
            "url": stub.url,
            "key": KEY,
            "spool_dir": tmp_path / "spool",
        } | options
        made.append(Client(**given))
        return made[-1]

    yield make
    for client in made:
        client.close(timeout_s=0.1)


@pytest.fixture
def tb(make_client: MakeClient) -> Client:
    """A client with default settings."""
    return make_client()
