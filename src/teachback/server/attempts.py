"""How often something may be tried: enough for people, too seldom for guessing."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

#: Names remembered at once; the longest untouched one is forgotten first.
CAPACITY = 10_000


class Attempts:
    """Counts tries by name within a window of time, in this process, in bounded memory."""

    def __init__(self, *, limit: int, window_s: float) -> None:
        """Allow `limit` tries of each name within `window_s` seconds."""
        self._limit, self._window_s = limit, window_s
        self._tries: OrderedDict[bytes, list[float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Return in how many seconds another try is allowed, 0 when it is now."""
        tries = self._recent(_short(name))
        return tries[0] + self._window_s - time.monotonic() if len(tries) >= self._limit else 0.0

    def note(self, name: str) -> None:
        """Count a try, before its outcome is known: many at once are many."""
        key = _short(name)
        self._tries[key] = [*self._recent(key), time.monotonic()]
        self._tries.move_to_end(key)
        if len(self._tries) > CAPACITY:
            self._tries.popitem(last=False)

    def refund(self, name: str) -> None:
        """Take the last try back: it was right."""
        key = _short(name)
        self._tries[key] = self._recent(key)[:-1]
        if not self._tries[key]:
            del self._tries[key]

    def _recent(self, key: bytes) -> list[float]:
        since = time.monotonic() - self._window_s
        return [at for at in self._tries.get(key, ()) if at > since]


def _short(name: str) -> bytes:
    """Strangers choose names of any length."""
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()
