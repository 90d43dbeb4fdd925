"""The shared commit: requests that wait at the same moment are stored in one transaction.

A durable commit costs the same for one record as for a thousand. While one commit runs, the next
requests gather; then they all go together. Nobody is told "stored" before the commit is through.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import DataError, IntegrityError, errors
from psycopg_pool import PoolTimeout

from teachback.errors import Invalid, Overloaded, TeachbackError, Unavailable
from teachback.record.accept import Item, Known, Outcome, accept
from teachback.record.fair_queue import FairQueue
from teachback.store.database import TRANSIENT, Database, away

#: Records that may wait in all; beyond it everybody is told to come back.
MAX_WAITING = 20_000
#: A project's part of them is one in so many; beyond it that project alone is told.
PROJECT_PART = 4
#: When to come back: twenty thousand records take about two seconds to store.
RETRY_AFTER_S = 2.0
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

    @property
    def project_id(self) -> str:
        """All records of a request belong to the project of its key."""
        return self.items[0].project_id


class Writer:
    """Stores records for many concurrent requests."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._known = Known()
        self._task: asyncio.Task[None] | None = None
        #: Records accepted into the queue and not yet answered, by project.
        self._waiting: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Records accepted into the queue and not yet answered."""
        return self._waiting.total()

    async def start(self) -> None:
        """Begin to store.

        There is one commit at a time: measured, two make smaller groups and store fewer records.
        """
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Store what waits, then stop."""
        await self._idle.wait()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def write(self, items: Sequence[Item]) -> list[Answer]:
        """Store the items and return an outcome, or an error, for each.

        Raises Overloaded when too much of this project waits already, Unavailable when too much
        waits in all, or when the database is away.
        """
        if not items:
            return []
        waiting = _Waiting(items, asyncio.get_running_loop().create_future())
        self._check_room(waiting.project_id, len(items))
        self._waiting[waiting.project_id] += len(items)
        self._idle.clear()
        self._queue.put(waiting, project_id=waiting.project_id, size=len(items))
        return await waiting.answers

    def _check_room(self, project_id: str, size: int) -> None:
        of_project = self._waiting[project_id]
        if of_project and of_project + size > MAX_WAITING // PROJECT_PART:
            raise Overloaded(
                "too many records of this project wait to be stored", retry_after_s=RETRY_AFTER_S
            )
        if self.waiting and self.waiting + size > MAX_WAITING:
            raise Unavailable("too many records wait to be stored", retry_after_s=RETRY_AFTER_S)

    async def _work(self) -> None:
        while True:
            group = await self._queue.take(MAX_COMMIT)
            await self._serve(group)
            for waiting in group:
                self._forget(waiting)
            if not self._waiting:
                self._idle.set()

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting[waiting.project_id] -= len(waiting.items)
        if not self._waiting[waiting.project_id]:
            del self._waiting[waiting.project_id]

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
