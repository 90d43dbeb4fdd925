"""Fills a store straight through the product's own writer: a process of its own.

Millions of records would take HTTP an hour; what it adds is measured by the suite `ingest`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from teachback.bench.records import Texts, records
from teachback.errors import SetupError
from teachback.record.accept import Item
from teachback.record.intake import Intake
from teachback.record.writer import Answer, Writer
from teachback.store import projects, trends, vitals
from teachback.store.database import Database
from teachback.store.embedded import start

#: Records handed to the writer at once, and how many such parts wait for it.
PART, AHEAD = 400, 3
#: Processes that fill one store: what they make and what the database keeps take equal time.
PROCESSES = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one process writes; without records it sums up what the others wrote."""

    data_dir: str
    seed: int
    #: Over how many days back the records are spread.
    days: int
    records: int = 0


def fill(data_dir: Path, records: int, *, seed: int, days: int) -> None:
    """Write so many records, sum up their trends, and leave the tables as a quiet night does.

    Their documents and vectors are left to a worker. Raises SetupError when a process fails.
    """
    plan = Plan(data_dir=str(data_dir), seed=seed, days=days)
    share = records // PROCESSES
    _run([dataclasses.replace(plan, seed=seed + n, records=share) for n in range(PROCESSES)])
    _run([plan])


def _run(plans: Sequence[Plan]) -> None:
    command = [sys.executable, "-m", "teachback.bench.fill"]
    running = [subprocess.Popen([*command, json.dumps(dataclasses.asdict(plan))]) for plan in plans]
    ended = [one.wait() for one in running]
    if any(ended):
        raise SetupError("a process that fills the store failed; its error is above")


async def _fill(dsn: str, plan: Plan) -> None:
    db = Database(dsn)
    await db.open()
    try:
        if plan.records:
            await _write(db, plan)
        else:
            await _sum_up(db)
    finally:
        await db.close()


async def _write(db: Database, plan: Plan) -> None:
    writer = Writer(db)
    await writer.start()
    (project,) = await projects.list_projects(db)
    texts = Texts(random.Random(plan.seed))
    made = records(random.Random(plan.seed), days=plan.days, texts=texts)
    under_way: set[asyncio.Task[list[Answer]]] = set()
    for begin in range(0, plan.records, PART):
        intake = Intake(project=project, token=None, now=datetime.now(UTC))
        items: list[Item] = []
        for _ in range(min(PART, plan.records - begin)):
            trace, said = next(made)
            items.append(intake.trace(msgspec.json.encode(trace)))
            items.append(intake.feedback(msgspec.json.encode(said)))
        under_way.add(asyncio.create_task(writer.write(items)))
        under_way = await _all_but(AHEAD, under_way)
    await _all_but(0, under_way)
    await writer.stop()


async def _all_but(
    most: int, under_way: set[asyncio.Task[list[Answer]]]
) -> set[asyncio.Task[list[Answer]]]:
    await asyncio.sleep(0)
    while len(under_way) > most:
        done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            if set(one.result()) != {"stored"}:
                raise SetupError("a record of the benchmark was not stored")
    return under_way


async def _sum_up(db: Database) -> None:
    while await trends.waiting(db):
        if not await trends.refresh(db):
            await asyncio.sleep(0.2)
    await vitals.tidy(db)


if __name__ == "__main__":
    asked = Plan(**json.loads(sys.argv[1]))
    with start(Path(asked.data_dir)) as server:
        asyncio.run(_fill(server.dsn, asked))
