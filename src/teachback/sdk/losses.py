"""What never arrived: counted by (reason, kind), reported to the server and the application."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from teachback.sdk.guard import say_failure, say_once

Reason = Literal[
    "queue_full",  # the spool and the memory behind it are at their limit
    "too_large",  # one record beyond what the server takes
    "unrenderable",  # could not be turned into JSON
    "corrupt",  # was on disk and cannot be read any more
    "rejected",  # the server refused this record, or the request that held it
    "shutdown",  # came after the client was closed
]


#: Told with the report: these happen inside the application's calls, where no callback may run.
_SILENT = ("queue_full", "unrenderable", "corrupt", "shutdown")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryError:
    """What `on_error` is told; it never holds content."""

    #: A loss's reason, or `unauthorized` or `not_found` when nothing is lost but nothing gets on.
    reason: str
    #: `trace`, `feedback` or `unknown`.
    kind: str
    message: str
    count: int = 1
    #: Id of the record, when a single one is meant.
    record_id: str | None = None


OnError = Callable[[DeliveryError], object]
Count = tuple[str, str]


class Losses:
    """Counts every lost record exactly once and hands out what the server has not heard yet."""

    def __init__(self, on_error: OnError | None = None) -> None:
        self._on_error = on_error
        self._lock = threading.RLock()
        self._total: Counter[Count] = Counter()
        self._unreported: Counter[Count] = Counter()

    def add(self, reason: Reason, kind: str, count: int = 1, *, heard: bool = False) -> None:
        """Count lost records; `heard` leaves out of the report what the server itself refused."""
        with self._lock:
            self._total[reason, kind] += count
            if not heard:
                self._unreported[reason, kind] += count

    def inherit(self, counts: Counter[Count]) -> None:
        """Take over what a process that is gone could not report."""
        with self._lock:
            self._unreported.update(counts)

    def tell(self, error: DeliveryError) -> None:
        """Tell the application, or its log when it does not listen."""
        if self._on_error is None:
            say_once(f"teachback: {error.reason} ({error.kind}): {error.message}")
            return
        try:
            self._on_error(error)
        except Exception as failure:
            say_failure("on_error", failure)

    def total(self) -> dict[Count, int]:
        """Return how many records were lost, by (reason, kind)."""
        with self._lock:
            return dict(self._total)

    def unreported(self) -> Counter[Count]:
        """Return what the next report must say."""
        with self._lock:
            return +self._unreported

    def reported(self, counts: Counter[Count]) -> None:
        """Note that the server has heard these; the application hears of those it has not yet."""
        with self._lock:
            self._unreported.subtract(counts)
        for (reason, kind), count in counts.items():
            if reason in _SILENT:
                message = "lost before sending"
                self.tell(DeliveryError(reason=reason, kind=kind, message=message, count=count))

    def after_fork(self) -> None:
        """Start from nothing in a child: the parent reports its own."""
        self._lock = threading.RLock()
        self._total.clear()
        self._unreported.clear()
