"""Injections on their way to the database: behind the request, which never waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

import structlog

from teachback.errors import Unavailable
from teachback.store.database import Database
from teachback.store.injections import NewInjection, save_injections

log = structlog.get_logger()

#: Injections that may wait while the database is away; beyond it the newest are dropped.
MAX_WAITING = 50_000
#: Stored in one transaction, and how long they gather before it.
BATCH, GATHER_S = 1_000, 0.05
RETRY_S = 1.0
#: How long leaving may take when some still wait.
LEAVE_S = 5.0


class Recorder:
    """Stores what was injected, a moment later."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[NewInjection] = deque()
        self._there = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._lost = 0

    async def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Store what waits, within a few seconds, then stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), LEAVE_S)
        self._lose(len(self._waiting))
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def put(self, rows: Sequence[NewInjection]) -> None:
        """Take injections; what is too many is dropped and counted."""
        room = max(MAX_WAITING - len(self._waiting), 0)
        self._waiting.extend(rows[:room])
        self._lose(len(rows) - min(room, len(rows)))
        if self._waiting:
            self._idle.clear()
            self._there.set()

    def take_lost(self) -> int:
        """Return how many could not be stored since this was last asked."""
        lost, self._lost = self._lost, 0
        return lost

    def _lose(self, count: int) -> None:
        self._lost += count

    async def _work(self) -> None:
        while True:
            await self._there.wait()
            self._there.clear()
            await asyncio.sleep(GATHER_S)
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
                if not await self._store(batch):
                    await asyncio.sleep(RETRY_S)
                    continue
                for _ in batch:
                    self._waiting.popleft()
            self._idle.set()

    async def _store(self, batch: Sequence[NewInjection]) -> bool:
        """Store a batch; when a value is refused, halve until the culprit stands alone."""
        try:
            await save_injections(self._db, batch)
        except Unavailable:
            return False
        except Exception as error:
            if len(batch) == 1:
                log.warning("injection not stored", error=type(error).__name__)
                self._lose(1)
                return True
            middle = len(batch) // 2
            return await self._store(batch[:middle]) and await self._store(batch[middle:])
        return True
