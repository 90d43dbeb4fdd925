"""Keep traces of calls: first on this machine's disk, then in the database.

What has passed is on disk before its answer ends, so it survives a killed process, and waits there
while the database is away. It is stored in the order in which it came, in small groups, so that a
backlog leaves the event loop to the calls. A trace that is sent twice is stored once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Raw

from teachback.capture.json import sanitize
from teachback.errors import TeachbackError, Unavailable
from teachback.record.intake import trace_item
from teachback.record.writer import Answer, Writer
from teachback.sdk.frames import Record
from teachback.sdk.losses import Losses
from teachback.sdk.queue import Queue, Waiting
from teachback.sdk.retry import pause_s
from teachback.server.metrics import Metrics
from teachback.server.problems import log_bug
from teachback.store.traces import NewTrace

#: Traces that are stored together: reading so many takes about a millisecond.
GROUP = 20
#: Calls that end within this time share a commit, in seconds.
LINGER_S = 0.02
#: Longest pause while the database is away.
MAX_PAUSE_S = 5.0
#: How often spools of processes that are gone are looked for.
IDLE_S = 30.0
#: How long a process that stops tries to store what waits; the rest keeps on disk.
STOP_S = 5.0
#: After so many bugs in a row over one trace it is given up, and counted.
MAX_BUGS = 5


class _Kept(msgspec.Struct):
    project_id: str
    trace: Raw


class Recorder:
    """Takes traces at once, and stores them in the background."""

    def __init__(
        self, writer: Writer, metrics: Metrics, *, folder: Path | None, max_bytes: int
    ) -> None:
        """Keep at most `max_bytes` below `folder`; without one, in memory."""
        self._writer = writer
        self._metrics = metrics
        self._losses = Losses()
        self._queue = Queue(folder, destination="gateway", max_bytes=max_bytes, losses=self._losses)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tries = self._bugs = 0
        self._group = GROUP
        self._stopping = False

    def put(self, project_id: str, trace: bytes) -> None:
        """Keep a trace in the wire format of the API; what cannot be kept is counted."""
        payload = msgspec.json.encode(_Kept(project_id, Raw(trace)))
        if self._queue.put(Record("trace", payload)):
            self._metrics.gateway_waiting.inc()
        self._wake.set()

    async def start(self) -> None:
        """Begin to store, also what earlier processes left."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Store what waits while there is time; the next process finds the rest."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await asyncio.wait([self._task], timeout=STOP_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._queue.close()

    async def _work(self) -> None:
        while True:
            self._queue.adopt()
            waiting = self._queue.next(self._group)
            self._tell_losses()
            if waiting is not None:
                await self._deliver(waiting)
            elif not self._stopping:
                await self._pause(IDLE_S)
                await asyncio.sleep(LINGER_S)
            else:
                return

    async def _deliver(self, waiting: Waiting) -> None:
        """Store a group and take it away; while the database is away it stays."""
        try:
            await self._store(waiting.records)
        except Unavailable:
            self._tries += 1
            await self._pause(min(MAX_PAUSE_S, pause_s(self._tries)))
        except Exception as error:  # whatever it is, what waits behind it must get on
            log_bug(error)
            await self._suspect(waiting)
        else:
            self._tries = self._bugs = 0
            self._group = GROUP
            self._done(waiting)

    async def _suspect(self, waiting: Waiting) -> None:
        """Go on one by one; the trace that fails again and again is given up."""
        self._bugs += 1
        if self._group > 1:
            self._group = 1
        elif self._bugs >= MAX_BUGS:
            self._bugs = 0
            self._metrics.rejected.labels("trace", "internal").inc(len(waiting.records))
            self._done(waiting)
            return
        await self._pause(min(MAX_PAUSE_S, pause_s(self._bugs)))

    def _done(self, waiting: Waiting) -> None:
        self._queue.done(waiting)
        if not waiting.adopted:
            self._metrics.gateway_waiting.dec(len(waiting.records))

    async def _store(self, records: Iterable[Record]) -> None:
        by_project: dict[str, list[NewTrace]] = defaultdict(list)
        for record in records:
            try:
                item = _item(record.payload)
            except (TeachbackError, msgspec.MsgspecError) as error:
                self._count(error if isinstance(error, TeachbackError) else None)
                continue
            by_project[item.project_id].append(item)
        for answers in await asyncio.gather(*map(self._writer.write, by_project.values())):
            for answer in answers:
                self._count(answer)

    def _count(self, answer: Answer | None) -> None:
        if answer == "stored":
            self._metrics.accepted.labels("trace").inc()
        elif answer == "duplicate":
            self._metrics.duplicates.labels("trace").inc()
        else:
            reason = answer.type if isinstance(answer, TeachbackError) else answer or "invalid"
            self._metrics.rejected.labels("trace", reason).inc()

    def _tell_losses(self) -> None:
        counts = self._losses.unreported()
        for (reason, _), count in counts.items():
            self._metrics.gateway_dropped.labels(reason).inc(count)
        if counts:
            self._losses.reported(counts)

    async def _pause(self, seconds: float) -> None:
        """Wait for work; a process that stops waits no more."""
        if self._stopping:
            await asyncio.sleep(0.05)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _item(payload: bytes) -> NewTrace:
    kept = msgspec.json.decode(payload, type=_Kept)
    raw, sanitized = sanitize(bytes(kept.trace))
    return trace_item(kept.project_id, raw, now=datetime.now(UTC), sanitized=sanitized)
