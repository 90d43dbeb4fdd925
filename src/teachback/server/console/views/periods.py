"""Stretches of time to look at: chosen in the address, compared with the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from teachback.model.trend import Step

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From `since` until now, and as long before that."""

    #: As it stands in the address and in filters: 30d.
    name: str
    title: str
    days: int
    step: Step
    since: datetime
    until: datetime

    @property
    def before(self) -> tuple[datetime, datetime]:
        """The same stretch just before: as much of it as has passed of this one."""
        length = timedelta(days=self.days)
        return self.since - length, self.until - length

    @property
    def columns(self) -> tuple[datetime, ...]:
        """Beginnings of its steps."""
        return tuple(_steps(self.since, self.until, self.step))

    @property
    def end(self) -> datetime:
        """The end of its last step."""
        return _next(self.columns[-1], self.step)


#: Name → what people read, days, and the step of its charts.
PERIODS: dict[str, tuple[str, int, Step]] = {
    "7d": ("7 days", 7, "day"),
    "30d": ("30 days", 30, "day"),
    "90d": ("90 days", 91, "week"),
}
DEFAULT = "30d"


def read_period(text: str | None, now: datetime) -> Period:
    """Return the period that an address names; the usual one when it names none of ours."""
    name = text if text in PERIODS else DEFAULT
    title, days, step = PERIODS[name or DEFAULT]
    # Whole steps, so that the first column is not a part of a day.
    first = floor(now, step) - timedelta(days=days) + (7 * DAY if step == "week" else DAY)
    return Period(name=name or DEFAULT, title=title, days=days, step=step, since=first, until=now)


def floor(at: datetime, step: Step) -> datetime:
    """Return the beginning of the step that a moment is in."""
    whole = at.replace(minute=0, second=0, microsecond=0)
    if step == "hour":
        return whole
    midnight = whole.replace(hour=0)
    return midnight - midnight.weekday() * DAY if step == "week" else midnight


def _steps(since: datetime, until: datetime, step: Step) -> Iterator[datetime]:
    at = floor(since, step)
    while at < until:
        yield at
        at = _next(at, step)


def _next(at: datetime, step: Step) -> datetime:
    return at + {"hour": timedelta(hours=1), "day": DAY, "week": 7 * DAY}[step]
