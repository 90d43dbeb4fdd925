"""The background sender: one daemon thread that takes from the queue and talks to the server."""

from __future__ import annotations

import threading
import time
from collections import Counter

from teachback.sdk.frames import Record
from teachback.sdk.guard import say_failure, say_once
from teachback.sdk.losses import Count, DeliveryError, Losses, Reason
from teachback.sdk.queue import MAX_BATCH_RECORDS, Queue
from teachback.sdk.retry import REST_S, pause_s
from teachback.sdk.transport import RecordResult, Reply, Transport

#: Records of this long are sent together: few requests, and the trail is still fresh.
LINGER_S = 0.25
#: Between two full batches the interpreter belongs to the application.
BREATH_S = 0.05
#: How long a thread that is asked to end is waited for.
STOP_S = 0.2
#: An idle sender looks this often for folders of dead processes.
IDLE_S = 30.0
#: What a server answers to a fault of its own; outages have other answers. After so many in a row
#: one record of the batch is suspected, and the batch halved until it stands alone.
FAULT = 500
SUSPECT_TRIES = 5


class Delivery:
    """Sends what the queue holds, in order, with at most one request under way."""

    def __init__(self, queue: Queue, transport: Transport, losses: Losses) -> None:
        self._queue = queue
        self._transport = transport
        self._losses = losses
        self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._idle = True
        self._stopping = False
        self._flushing = 0
        #: `Queue.sequence` up to which everything is dealt with.
        self._drained = -1
        self._tries = 0
        #: Monotonic time before which no request is made, and whether the server set it.
        self._not_before = 0.0
        self._asked = False
        #: Most records in a request; halved by each 413, doubled by each success.
        self._limit = MAX_BATCH_RECORDS
        self._told: set[int] = set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="teachback", daemon=True)
                thread.start()
                self._thread = thread

    def notice(self) -> None:
        """Say that something was put in the queue; starts the thread on first use."""
        if self._thread is None:
            self._start()
        if self._idle:
            self._idle = False
            self._wake.set()

    def flush(self, timeout_s: float, *, leaving: bool = False) -> bool:
        """Wait until all that waits now is dealt with; False when that takes too long.

        Pauses of our own are cut short, those the server asked for are kept. `leaving` does not
        wait for a server that is away when nothing would be lost.
        """
        if self._thread is None:
            if self._queue.sequence == 0:  # a child process that has recorded nothing
                return True
            self._start()
        with self._changed:
            wanted = self._queue.sequence
            self._drained = -1
            self._flushing += 1
            if not self._asked and not leaving:
                self._not_before = 0.0
            self._wake.set()
            try:
                self._changed.wait_for(lambda: self._settled(wanted, leaving=leaving), timeout_s)
            finally:
                self._flushing -= 1
            return self._drained >= wanted

    def stop(self) -> None:
        """End the thread; a request that is under way is left to itself."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def after_fork(self) -> None:
        """Forget the parent's thread; the child's own starts with its first record."""
        self._reset()

    def _settled(self, wanted: int, *, leaving: bool) -> bool:
        if self._drained >= wanted or self._stopping:
            return True
        return leaving and self._tries > 0 and self._queue.is_durable

    def _run(self) -> None:
        self._linger()
        while not self._stopping:
            try:
                self._turn()
            except Exception as error:
                say_failure("the sender", error)
                self._rest(pause_s(5), asked=False)
        self._transport.close()

    def _turn(self) -> None:
        """Send one batch, or wait for something to send."""
        pause = self._not_before - time.monotonic()
        if pause > 0:
            self._sleep(pause)
            return
        self._queue.adopt()
        sequence = self._queue.sequence
        waiting = self._queue.next(self._limit)
        if waiting is None and not self._losses.unreported():
            self._wait_for_work(sequence)
            return
        records = waiting.records if waiting else []
        if self._deliver(records) and waiting is not None:
            self._queue.done(waiting)
        if not self._flushing:
            self._sleep(BREATH_S)

    def _wait_for_work(self, sequence: int) -> None:
        with self._changed:
            self._drained = sequence
            self._changed.notify_all()
        self._idle = True
        if self._queue.sequence == sequence and not self._stopping:
            self._sleep(IDLE_S)
        self._linger()

    def _linger(self) -> None:
        """Let a batch come together, unless somebody waits."""
        until = time.monotonic() + LINGER_S
        while not self._flushing and not self._stopping and time.monotonic() < until:
            self._sleep(until - time.monotonic())

    def _sleep(self, seconds: float) -> None:
        if self._wake.wait(max(0.0, seconds)):
            self._wake.clear()

    def _deliver(self, records: list[Record]) -> bool:
        """Send records; True when each was answered for or counted as lost."""
        report = self._losses.unreported()
        if not records and not report:
            return True
        reply = self._transport.send(records, report)
        match reply.verdict:
            case "accepted":
                self._accepted(reply, report)
            case "split":
                return self._split(records)
            case "refused":
                self._refuse(records, reply, report)
            case "retry" | "closed":
                if reply.status == FAULT and records and self._tries + 1 >= SUSPECT_TRIES:
                    return self._isolate(records)
                self._hold(reply)
                return False
        return True

    def _isolate(self, records: list[Record]) -> bool:
        """Find the record that the server fails on, so that it does not hold up those behind it."""
        self._tries = 0
        if len(records) > 1:
            self._limit = len(records) // 2
            return False
        self._lose(records, "rejected", f"the server answered {FAULT} to it each time")
        return True

    def _accepted(self, reply: Reply, report: Counter[Count]) -> None:
        self._tries = 0
        self._asked = False
        self._limit = min(MAX_BATCH_RECORDS, self._limit * 2)
        self._told.clear()
        self._losses.reported(report)
        for result in reply.refused:
            self._rejected(result)

    def _rejected(self, result: RecordResult) -> None:
        reason = result.error.type if result.error else result.status
        self._losses.add("rejected", result.object or "unknown", heard=True)
        self._losses.tell(
            DeliveryError(
                reason=reason,
                kind=result.object or "unknown",
                record_id=result.id,
                message=f"the server refused it: {_rule(result)}",
            )
        )

    def _split(self, records: list[Record]) -> bool:
        """Ask the queue for fewer next time; a single record that is too large is dropped."""
        if len(records) > 1:
            self._limit = len(records) // 2
            return False
        self._lose(records, "too_large", f"{len(records[0].payload)} bytes are too large")
        return True

    def _refuse(self, records: list[Record], reply: Reply, report: Counter[Count]) -> None:
        if not records:  # else the next request repeats the report
            self._losses.reported(report)
        self._lose(records, "rejected", f"the server answered {reply.status}")

    def _lose(self, records: list[Record], reason: Reason, message: str) -> None:
        for kind, count in Counter(record.kind for record in records).items():
            self._losses.add(reason, kind, count)
            self._losses.tell(DeliveryError(reason=reason, kind=kind, message=message, count=count))

    def _hold(self, reply: Reply) -> None:
        """Keep everything and decide when to try again."""
        self._tries += 1
        if reply.verdict == "closed":
            self._tell_closed(reply.status)
            self._rest(REST_S, asked=True)
        elif reply.retry_after_s is not None:
            self._rest(max(reply.retry_after_s, pause_s(1)), asked=True)
        else:
            self._rest(pause_s(self._tries), asked=False)
            what = f"answered {reply.status}" if reply.status else "cannot be reached"
            say_once(f"teachback: the server {what}; records wait and are sent later")

    def _tell_closed(self, status: int) -> None:
        if status in self._told:
            return
        self._told.add(status)
        reason = "unauthorized" if status in (401, 403) else "not_found"
        message = f"the server answered {status}; check url and key; records wait in the spool"
        self._losses.tell(DeliveryError(reason=reason, kind="unknown", message=message, count=0))

    def _rest(self, seconds: float, *, asked: bool) -> None:
        with self._changed:
            self._asked = asked
            self._not_before = time.monotonic() + seconds
            self._changed.notify_all()


def _rule(result: RecordResult) -> str:
    if result.error is None:
        return result.status
    return " ".join(part for part in (result.error.field, result.error.rule) if part) or "invalid"
