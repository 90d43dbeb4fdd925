"""When to try again: growing pauses with jitter, and what a server asks for in `Retry-After`."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

#: Tries in a row before the sender rests; the records stay where they are.
MAX_TRIES = 10
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
#: Rest after `MAX_TRIES`, and after the server refused our key or address.
REST_S = 600.0
#: Longest time a server may ask us to wait.
RETRY_AFTER_CAP_S = 3600.0
#: What a `Retry-After` that cannot be read stands for.
RETRY_AFTER_GARBAGE_S = 60.0


def pause_s(tries: int) -> float:
    """Return the pause after so many failed tries: a random part of a doubling bound.

    The random part begins at half, so that many clients spread out but none comes back at once.
    """
    if tries >= MAX_TRIES:
        return random.uniform(REST_S / 2, REST_S)  # noqa: S311 - jitter, not a secret
    bound = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** max(0, tries - 1))
    return random.uniform(bound / 2, bound)  # noqa: S311 - jitter, not a secret


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks us to wait, or None when it does not ask.

    A date is compared with the server's own `Date`, because our clock may be wrong.
    """
    asked = headers.get("retry-after")
    if asked is None:
        return None
    seconds = _seconds(asked.strip())
    if seconds is None:
        seconds = _seconds_until(asked, headers.get("date"))
    if seconds is None:
        return RETRY_AFTER_GARBAGE_S
    return min(max(0.0, seconds), RETRY_AFTER_CAP_S)


def _seconds(text: str) -> float | None:
    return float(text[:12]) if text.isascii() and text.isdigit() else None


def _seconds_until(asked: str, now: str | None) -> float | None:
    until = _unix_time(asked)
    if until is None:
        return None
    server_now = _unix_time(now) if now else None
    return until - (time.time() if server_now is None else server_now)


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
