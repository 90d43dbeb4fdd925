"""The database goes away, processes die, and calls go on: their traces arrive later."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.gateway import ASKED, wait_for
from support.upstream import ANSWER, Upstream
from support.wire import Answer, Wire
from teachback.bench import machine
from teachback.bench.product import Product, running, scratch, signal_process

CHAT = "/v1/chat/completions"


@pytest.fixture
def lent() -> Iterator[tuple[Product, Wire]]:
    """A product of its own with a provider behind it."""
    with (
        Upstream() as upstream,
        scratch() as folder,
        running(folder / "data", upstream.variables) as product,
    ):
        yield product, Wire(product.port, product.key())


@contextlib.contextmanager
def frozen(product: Product) -> Iterator[None]:
    """Stop all of PostgreSQL, as a dead network or a hung disk does."""
    postmaster = product.postmaster()
    assert postmaster is not None
    processes = machine.family([postmaster])
    for pid in processes:
        signal_process(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                signal_process(pid, signal.SIGCONT)


def ask(wire: Wire, **more: Any) -> Answer:
    return wire.post(CHAT, {"model": "plain", "messages": ASKED} | more)


def trace_id(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.headers["x-teachback-trace-id"]


def stored(wire: Wire, name: str) -> bool:
    """Tell whether a trace is there; a server that starts is waited for."""
    try:
        return wire.get(f"/v1/traces/{name}").status == 200
    except OSError:
        return False


def test_calls_pass_while_the_database_is_away(lent: tuple[Product, Wire]) -> None:
    """With the key that was in use, whole and streamed; every trace is stored afterwards."""
    product, wire = lent
    names = [trace_id(ask(wire))]
    with frozen(product):
        for number in range(6):
            answer = ask(wire, stream=number % 2 == 1)
            assert ANSWER.split()[0].encode() in answer.body
            names.append(trace_id(answer))
        unknown = Wire(wire.port, "tb_sk_0123456789ab_" + "0" * 64)
        assert ask(unknown).status == 503
    for name in names:
        assert wait_for(lambda: stored(wire, name), seconds=60)  # noqa: B023 - called at once
    lists = wire.get("/v1/traces").json["data"]
    assert sorted(trace["id"] for trace in lists) == sorted(names)


def test_traces_survive_a_killed_process(lent: tuple[Product, Wire]) -> None:
    """What passed while the database was away, and was stored by nobody, is stored by the next."""
    product, wire = lent
    ask(wire)  # so that the key is known
    with frozen(product):
        names = [trace_id(ask(wire)) for _ in range(5)]
        product.kill()
    product.start()
    product.wait()
    for name in names:
        assert wait_for(lambda: stored(wire, name), seconds=60)  # noqa: B023 - called at once
        assert wire.trace(name)["output"] == ANSWER


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_memory_is_flat_over_many_streams_with_the_database_away_half_the_time(
    lent: tuple[Product, Wire],
) -> None:
    """Streams by the thousand: nothing stays behind but what waits on disk."""
    product, wire = lent
    asyncio.run(_streams(wire, 2_000))
    assert product.process is not None
    before = machine.memory_mb({product.process.pid})
    for _ in range(5):
        with frozen(product):
            asyncio.run(_streams(wire, 2_000))
        asyncio.run(_streams(wire, 2_000))
    after = machine.memory_mb({product.process.pid})
    assert after <= before * 1.05 + 8
    assert wait_for(lambda: _waiting(wire) == 0, seconds=120)


async def _streams(wire: Wire, count: int) -> None:
    """Read so many streams, twenty at once."""
    headers = {"authorization": f"Bearer {wire.key}"}
    body = {"model": "plain", "messages": ASKED, "stream": True}
    base = f"http://127.0.0.1:{wire.port}"
    left = iter(range(count))
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as client:

        async def work() -> None:
            for _ in left:
                answer = await client.post(CHAT, json=body)
                assert answer.content.endswith(b"data: [DONE]\n\n")

        await asyncio.gather(*(work() for _ in range(20)))


def _waiting(wire: Wire) -> float:
    lines = wire.get("/metrics").body.decode().splitlines()
    (line,) = (line for line in lines if line.startswith("teachback_gateway_waiting "))
    return float(line.split()[1])
