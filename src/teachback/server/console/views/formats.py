"""How numbers, times and texts are written on a page: always with their unit."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

#: Units of which there are whole numbers only.
COUNTS = ("traces", "judgements")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
#: From here on a date says more than "31 d ago".
OLDEST_RELATIVE_S = 30 * DAY


def count(number: float) -> str:
    """Write a count with thousands separated: 12,345."""
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: 1 turn, 3 turns."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def milliseconds(value: float) -> str:
    """Write a duration given in milliseconds: 840 ms, 1.24 s, 2 min 5 s."""
    if value < 10:
        return f"{value:.1f} ms".replace(".0 ms", " ms")
    if value < 999.5:
        return f"{value:.0f} ms"
    if value < 60_000:
        return f"{value / 1_000:.2f} s"
    return duration(value / 1_000)


def duration(seconds: float) -> str:
    """Write a duration given in seconds by its two largest units: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    for unit, name, lesser, lesser_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // lesser
            return f"{whole // unit} {name}" + (f" {rest} {lesser_name}" if rest else "")
    raise AssertionError("a duration of a minute or more has a unit")


def dollars(value: float) -> str:
    """Write a cost with the digits that matter: $0.00042, $1.20."""
    if value == 0 or value >= 0.01:
        return f"${value:,.2f}" if value == 0 or value >= 1 else f"${value:.3f}"
    return f"${value:.2g}" if value >= 0.0001 else f"${value:.1e}"


def percent(share: float) -> str:
    """Write a share from 0 to 1 in percent."""
    return f"{share * 100:.0f}%"


def share(value: float) -> str:
    """Write a share from 0 to 1 in percent, with a decimal where it says something: 34%, 4.2%."""
    if value and value < 0.0995:
        return f"{value * 100:.1f}%".replace(".0%", "%")
    return percent(value)


def measure(value: float, unit: str) -> str:
    """Write a measured value in its unit."""
    if unit == "share":
        return share(value)
    if unit == "ms":
        return milliseconds(value)
    if unit == "USD":
        return dollars(value)
    return count(value) if unit in COUNTS and value == round(value) else number(value)


def interval(low: float, high: float, unit: str) -> str:
    """Write the ends of an interval, the percent sign once: 8 to 12%."""
    begins, ends = measure(low, unit), measure(high, unit)
    return f"{begins.removesuffix('%') if unit == 'share' else begins} to {ends}"


def sample(number: int) -> str:
    """Write a sample size so that it stays on one line."""
    return f"n\u00a0=\u00a0{count(number)}"


def number(value: float) -> str:
    """Write a score without digits that say nothing: 2, 0.35."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def exact(at: datetime) -> str:
    """Write the exact time in its own zone: Mon 23 Nov 2026, 22:39:05 UTC."""
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M:%S} {at.tzname() or ''}".rstrip()


def ago(at: datetime, now: datetime) -> str:
    """Write how long ago something was, or its date when that was over a month ago."""
    seconds = (now - at).total_seconds()
    if seconds >= OLDEST_RELATIVE_S:
        return f"{at.day} {at:%b}" if at.year == now.year else f"{at.day} {at:%b %Y}"
    if seconds < -MINUTE:
        return f"in {_one_unit(-seconds)}"
    return "just now" if seconds < MINUTE else f"{_one_unit(seconds)} ago"


def excerpt(text: str, limit: int) -> str:
    """Cut a text to one line of at most `limit` characters."""
    # Only the beginning is split: a text may be megabytes long.
    line = " ".join(text[: limit * 4].split())
    if len(line) <= limit and len(text) <= limit * 4:
        return line
    return line[: limit - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """Begin a message with a capital and end it with a full stop."""
    begun = text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "!", "?")) else begun + "."


def host(address: str) -> str:
    """Name the host that a link leads to, or nothing when it leads to none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _one_unit(seconds: float) -> str:
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h"
    return f"{seconds // DAY:.0f} d"
