"""A worker process with two jobs of its own: one that fails for good, and one that takes long."""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

import psycopg
import pytest
from procrastinate import App, JobContext

from teachback import jobs, worker
from teachback.errors import Conflict
from teachback.store.database import Database

FAILING, BROKEN, SLOW = "test.failing", "test.broken", "test.slow"
REASON = "the target has two owners"
#: Started jobs leave a row here, finished ones another.
MARKS = "create table if not exists mark (job_id bigint, what text)"

_register = jobs.register


def register(dsn: str, db: Database) -> App:
    """Add the jobs of the tests to the product's."""
    app = _register(dsn, db)

    @app.task(name=FAILING, queueing_lock=FAILING)
    async def failing() -> NoReturn:
        raise Conflict(REASON)

    @app.task(name=BROKEN)
    async def broken() -> NoReturn:
        raise RuntimeError("what Charlie wrote")

    @app.task(name=SLOW, pass_context=True)
    async def slow(context: JobContext, first_s: float) -> None:
        """Take long at the first attempt, and leave marks."""
        await _mark(dsn, context, "started")
        await asyncio.sleep(0 if context.job.attempts else first_s)
        await _mark(dsn, context, "finished")

    return app


async def _mark(dsn: str, context: JobContext, what: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("insert into mark values (%s, %s)", (context.job.id, what))


async def main(dsn: str, stalled_s: int | None) -> None:
    """Work until killed; `stalled_s` shortens when a silent worker counts as dead."""
    patch = pytest.MonkeyPatch()
    patch.setattr(worker, "register", register)
    if stalled_s is not None:
        patch.setattr(jobs, "STALLED_S", stalled_s)
    db = Database(dsn, max_size=2)
    await db.open()
    await worker.run_worker(dsn, db)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
