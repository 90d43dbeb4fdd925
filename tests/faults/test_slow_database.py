"""The database is slower than what arrives: the queue is bounded, and what was accepted is kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import psycopg
import pytest

from support.embedded import dsn_of
from support.load import Sent, send_batches
from support.wire import Wire, trace
from teachback.bench.product import Product
from teachback.record.writer import MAX_WAITING, PROJECT_PART

PROJECTS, RECORDS = 6, 250
#: Each project sends half as much again as its part of the queue.
BATCHES = MAX_WAITING // PROJECT_PART // RECORDS * 3 // 2
#: What twenty thousand small records that wait may take, in MB: 10 kB each.
MEMORY_MB = 200
#: How long a statement waits for a lock, in seconds; a commit is tried four times.
LOCK_WAIT_S = 5


@pytest.mark.timeout(300)
def test_queue_is_bounded_and_nothing_accepted_is_lost_when_commits_stall(
    own_product: Product,
) -> None:
    """A locked table stalls every commit: 429 and 503 at the caps, and the rest is stored later."""
    wire = Wire(own_product.port, own_product.key())
    made = [wire.post("/v1/projects", {"name": f"p{i}"}).json for i in range(PROJECTS)]
    keys = [project["key"]["secret"] for project in made]
    before = own_product.memory_mb()
    waiting: list[float] = []
    memory: list[float] = []

    async def stall() -> None:
        """Hold the lock longer than a commit waits for one, and watch the server meanwhile."""
        async with await psycopg.AsyncConnection.connect(dsn_of(own_product.data_dir)) as other:
            await other.execute("lock table trace in access exclusive mode")
            since = time.monotonic()
            while _goes_on(time.monotonic() - since, waiting):
                await asyncio.sleep(0.5)
                waiting.append(await asyncio.to_thread(_waiting, wire))
                memory.append(await asyncio.to_thread(own_product.memory_mb))

    sent = asyncio.run(
        send_batches(own_product.url, keys, batches=BATCHES, records=RECORDS, meanwhile=stall())
    )
    statuses = Counter(one.status for one in sent)
    assert statuses.keys() == {200, 429, 503}
    assert statuses[200] * RECORDS >= MAX_WAITING
    assert all(one.retry_after_s >= 1 for one in sent if one.status != 200)
    assert MAX_WAITING - RECORDS <= max(waiting) <= MAX_WAITING
    assert max(memory) < before + MEMORY_MB
    assert _stored(own_product, sent)
    assert wire.post("/v1/traces", trace()).status == 201


def _goes_on(held_s: float, waiting: list[float]) -> bool:
    """Longer than one wait for a lock, until the queue is full; shorter than all its repeats."""
    full = max(waiting, default=0) > MAX_WAITING - RECORDS
    return held_s < LOCK_WAIT_S + 1 or (not full and held_s < 3 * LOCK_WAIT_S)


def _waiting(wire: Wire) -> float:
    lines = wire.get("/metrics").body.decode().splitlines()
    return float(
        next(line for line in lines if line.startswith("teachback_records_waiting ")).split()[1]
    )


def _stored(product: Product, sent: list[Sent]) -> bool:
    """Everything acknowledged is there, and nothing that was refused."""
    accepted = {one for batch in sent if batch.status == 200 for one in batch.ids}
    with psycopg.connect(dsn_of(product.data_dir)) as connection:
        return {row[0] for row in connection.execute("select id from trace")} == accepted
