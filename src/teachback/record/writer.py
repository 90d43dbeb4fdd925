"""The shared commit: requests that wait at the same moment are stored in one transaction.

A durable commit costs the same for one record as for a thousand. While one commit runs, the next
requests gather; then they all go together. Nobody is told "stored" before the commit is through.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import DataError, IntegrityError, errors
from psycopg_pool import PoolTimeout

from teachback.errors import Invalid, TeachbackError, Unavailable
from teachback.record.accept import Item, Known, Outcome, accept
from teachback.store.database import TRANSIENT, Database, away

#: Records that may wait; beyond it the answer is "overloaded", and the client keeps its own.
MAX_WAITING = 20_000
#: Records in one transaction: past a thousand, COPY gains nothing more.
MAX_COMMIT = 1_000
#: How often a transaction starts over, and the pause in seconds, growing, before it does.
ATTEMPTS = 4
PAUSE_S = 0.05

Answer = Outcome | TeachbackError


@dataclass(slots=True)
class _Waiting:
    items: Sequence[Item]
    answers: asyncio.Future[list[Answer]]


class Writer:
    """Stores records for many concurrent requests."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._known = Known()
        self._task: asyncio.Task[None] | None = None
        #: Records accepted into the queue and not yet answered.
        self.waiting = 0

    async def start(self) -> None:
        """Begin to store.

        There is one commit at a time: measured, two make smaller groups and store fewer records.
        """
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Store what waits, then stop."""
        await self._queue.join()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def write(self, items: Sequence[Item]) -> list[Answer]:
        """Store the items and return an outcome, or an error, for each.

        Raises Unavailable when too much waits already, or when the database is away.
        """
        if not items:
            return []
        if self.waiting + len(items) > MAX_WAITING and self.waiting:
            raise Unavailable("too many records wait to be stored", retry_after_s=2)
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self.waiting += len(items)
        self._queue.put_nowait(_Waiting(items, future))
        return await future

    async def _work(self) -> None:
        while True:
            group = [await self._queue.get()]
            size = len(group[0].items)
            while size < MAX_COMMIT and not self._queue.empty():
                group.append(self._queue.get_nowait())
                size += len(group[-1].items)
            await self._serve(group)
            for waiting in group:
                self.waiting -= len(waiting.items)
                self._queue.task_done()

    async def _serve(self, group: list[_Waiting]) -> None:
        items = [item for waiting in group for item in waiting.items]
        try:
            answers = await self._store(items)
        except Exception as error:
            for waiting in group:
                _fail(waiting, error)
            return
        for waiting in group:
            part, answers = answers[: len(waiting.items)], answers[len(waiting.items) :]
            if not waiting.answers.done():
                waiting.answers.set_result(part)

    async def _store(self, items: Sequence[Item]) -> list[Answer]:
        """Commit together; when a value is refused, halve until the culprit stands alone."""
        try:
            return list(await self._commit(items))
        except (DataError, IntegrityError, errors.ProgramLimitExceeded) as error:
            if len(items) == 1:
                return [_refused(error)]
        middle = len(items) // 2
        return await self._store(items[:middle]) + await self._store(items[middle:])

    async def _commit(self, items: Sequence[Item]) -> list[Outcome]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._db.writers.connection() as connection:
                    accepted = await accept(connection, items, self._known)
            except PoolTimeout as error:
                raise away() from error
            except errors.ProgramLimitExceeded:
                raise  # an operational error by class, but it lies in the value
            except (*TRANSIENT, errors.UniqueViolation) as error:
                # A unique violation: another process stored the same record a moment ago.
                # Behind a new connection may be another server, restored or promoted, that lacks
                # what was written last.
                self._known = Known()
                if attempt == ATTEMPTS:
                    raise _last(error) from error
                await asyncio.sleep(PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter
            else:
                self._known.absorb(accepted.written)
                return accepted.outcomes
        raise AssertionError("unreachable")


def _last(error: Exception) -> Exception:
    return error if isinstance(error, errors.UniqueViolation) else away()


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answers.done():
        waiting.answers.set_exception(error)


def _refused(error: Exception) -> Invalid:
    # The server's message may quote the value: only the class of the error is ours to tell.
    return Invalid(
        "record",
        rule=f"the database cannot hold a value in it ({type(error).__name__})",
        fix="Look for numbers and times out of range",
    )
