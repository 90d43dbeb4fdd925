"""What waits to be sent.

It lies in this process's spool, in memory when the disk refuses, and in the spools that dead
processes left behind.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from teachback.sdk import spool
from teachback.sdk.frames import MAX_PAYLOAD_BYTES, Record
from teachback.sdk.guard import say_once
from teachback.sdk.losses import Losses
from teachback.sdk.spool import Batch, Spool, SpoolFull

MAX_BATCH_RECORDS = 100
MAX_BATCH_BYTES = 5 * 1024 * 1024
#: Memory that records may take when the disk does not.
MAX_MEMORY_BYTES = 16 * 1024 * 1024
#: How long a disk that refused is left alone, and how often dead processes are looked for.
DISK_PAUSE_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Records taken together from one place; they stay there until `Queue.done`."""

    records: list[Record]
    #: None when they come from memory.
    spool: Spool | None = None
    batch: Batch | None = None
    #: They were left by a process that is gone.
    adopted: bool = False


class Queue:
    """Takes records from any thread and hands them to one sender; never blocks on the network."""

    def __init__(self, root: Path | None, *, destination: str, max_bytes: int, losses: Losses):
        # Records go only to the server and key they were meant for.
        digest = hashlib.sha256(destination.encode()).hexdigest()[:16]
        #: Where the spools of all processes with this destination are.
        self.folder = root / digest if root is not None else None
        self._max_bytes = max_bytes
        self._losses = losses
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        #: Counts every `put`, so that a flush knows what it waits for.
        self.sequence = 0
        self._own: Spool | None = None
        self._adopted: deque[Spool] = deque()
        #: What they take of the disk we may use.
        self._adopted_bytes = 0
        self._memory: deque[Record] = deque()
        self._memory_bytes = 0
        self._use_disk_at = 0.0
        self._look_again_at = 0.0

    def put(self, record: Record) -> bool:
        """Keep a record; False when it was dropped, which is counted here."""
        if len(record.payload) > MAX_PAYLOAD_BYTES:
            self._losses.add("too_large", record.kind)
            say_once(f"teachback: a {record.kind} of {len(record.payload)} bytes is too large")
            return False
        with self._lock:
            kept = self._put_on_disk(record)
            kept = self._put_in_memory(record) if kept is None else kept
            self.sequence += 1
        if not kept:
            self._losses.add("queue_full", record.kind)
            say_once("teachback: the spool is full; the newest records are dropped and counted")
        return kept

    def next(self, limit: int = MAX_BATCH_RECORDS) -> Waiting | None:
        """Return the next records to send, at most `limit`, or None when nothing waits."""
        while self._adopted:
            if (waiting := self._read(self._adopted[0], limit)) is not None:
                return waiting
            self._leave(self._adopted.popleft())
        if self._own is not None and (waiting := self._read(self._own, limit)) is not None:
            return waiting
        return self._read_memory(limit)

    def done(self, waiting: Waiting) -> None:
        """Take away what `next` returned: it was delivered, or dropped and counted."""
        if waiting.spool is not None and waiting.batch is not None:
            waiting.spool.delivered(waiting.batch)
            self._count(waiting.batch)
            return
        with self._lock:
            for record in waiting.records:
                self._memory.popleft()
                self._memory_bytes -= len(record.payload)

    def adopt(self) -> None:
        """Look for folders of dead processes; their records are sent like our own."""
        now = time.monotonic()
        if self.folder is None or now < self._look_again_at:
            return
        self._look_again_at = now + DISK_PAUSE_S
        for orphan in spool.orphans(self.folder):
            self._adopted.append(orphan)
            self._adopted_bytes += orphan.size

    def _leave(self, orphan: Spool) -> None:
        self._adopted_bytes -= orphan.size
        orphan.close()

    def hurry(self) -> None:
        """Make the next `adopt` look at once."""
        self._look_again_at = 0.0

    @property
    def is_durable(self) -> bool:
        """Whether everything that waits would outlive this process."""
        return not self._memory

    def close(self) -> None:
        """Let all folders go; what was not sent is adopted by the next process."""
        self._keep_report()
        for each in (*self._adopted, self._own):
            if each is not None:
                each.close()
        self._adopted.clear()
        self._own = None
        self._use_disk_at = float("inf")

    def after_fork(self) -> None:
        """Start empty in a child: what waited belongs to the parent."""
        for each in (*self._adopted, self._own):
            if each is not None:
                each.abandon()
        self._reset()

    def _put_on_disk(self, record: Record) -> bool | None:
        """Return whether the spool has room, or None when there is no usable disk."""
        if self.folder is None or (self._use_disk_at and time.monotonic() < self._use_disk_at):
            return None
        try:
            if self._own is None:
                self._own = spool.create(self.folder, max_bytes=self._max_bytes)
            self._own.append(record, reserved=self._adopted_bytes)
        except SpoolFull:
            return False
        except OSError as error:
            say_once(f"teachback: the spool cannot be written ({error.strerror}); using memory")
            self._use_disk_at = time.monotonic() + DISK_PAUSE_S
            return None
        return True

    def _put_in_memory(self, record: Record) -> bool:
        size = len(record.payload)
        if self._memory_bytes + size > min(self._max_bytes, MAX_MEMORY_BYTES):
            return False
        self._memory.append(record)
        self._memory_bytes += size
        return True

    def _read(self, source: Spool, limit: int) -> Waiting | None:
        try:
            batch = source.read(max_records=limit, max_bytes=MAX_BATCH_BYTES)
        except OSError as error:
            say_once(f"teachback: a spool folder cannot be read ({error.strerror})")
            return None
        if batch is None:
            return None
        records = [record for record in batch.records if record.kind != "report"]
        adopted = source is not self._own
        return Waiting(records=records, spool=source, batch=batch, adopted=adopted)

    def _read_memory(self, limit: int) -> Waiting | None:
        records = list(_prefix(list(self._memory)[:limit]))
        return Waiting(records=records) if records else None

    def _keep_report(self) -> None:
        """Leave what the server has not heard about our losses for the process that adopts us."""
        counts = self._losses.unreported()
        if counts and self._own is not None:
            rows = [[reason, kind, count] for (reason, kind), count in counts.items()]
            with suppress(OSError):
                self._own.append(Record("report", json.dumps(rows).encode()), over_limit=True)

    def _count(self, batch: Batch) -> None:
        """Count what a spool lost, and what its process had no time to report."""
        if batch.damaged:
            self._losses.add("corrupt", "unknown", batch.damaged)
        for record in batch.records:
            if record.kind == "report":
                rows = json.loads(record.payload)
                self._losses.inherit(Counter({(reason, kind): n for reason, kind, n in rows}))


def _prefix(records: list[Record]) -> Iterator[Record]:
    """Yield the first records that fit in one batch, at least one."""
    size = 0
    for number, record in enumerate(records):
        size += len(record.payload)
        if number and size > MAX_BATCH_BYTES:
            return
        yield record
