"""Where an axis has its ticks: round numbers, and dates that people count in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from teachback.server.console.views import formats

#: Ticks that fit a chart on the smallest phone.
MAX_DATES = 5
#: Steps that read as round, as multiples of a power of ten.
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A label at a place of an axis, in percent of its length."""

    at: float
    text: str


def nice_top(value: float, *, most: float = math.inf) -> tuple[float, float]:
    """Return the end of an axis that begins at zero and holds `value`, and its step.

    `most` is the greatest value that exists, such as 1 for a share.
    """
    if not value > 0 or not math.isfinite(value):
        value = min(1.0, most)
    rough = value / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in ROUND if power * factor >= rough * 0.999999)
    return min(most, step * math.ceil(value / step * 0.999999)), step


def value_ticks(top: float, step: float, unit: str) -> tuple[Tick, ...]:
    """Label an axis from zero to `top`; a tick's place counts from the top."""
    count = math.floor(top / step * 1.000001)
    return tuple(
        Tick(at=100 - 100 * index * step / top, text=formats.measure(index * step, unit))
        for index in range(count + 1)
    )


def date_ticks(
    columns: Sequence[datetime], end: datetime, *, most: int = MAX_DATES
) -> tuple[Tick, ...]:
    """Label some of the columns, evenly, so that the latest one is labelled."""
    if not columns:
        return ()
    every = next(step for step in _steps() if math.ceil(len(columns) / step) <= most)
    chosen = columns[::-1][::every][::-1]
    hours = len(columns) > 1 and columns[1] - columns[0] < DAY
    return tuple(
        Tick(at=middle(columns, columns.index(at), end), text=_text(at, hours=hours))
        for at in chosen
    )


def middle(columns: Sequence[datetime], index: int, end: datetime) -> float:
    """Return where a column has its middle, in percent."""
    begins, ends = edges(columns, index, end)
    return (begins + ends) / 2


def edges(columns: Sequence[datetime], index: int, end: datetime) -> tuple[float, float]:
    """Return where a column begins and ends, in percent."""
    after = columns[index + 1] if index + 1 < len(columns) else end
    return place(columns, columns[index], end), place(columns, after, end)


def place(columns: Sequence[datetime], at: datetime, end: datetime) -> float:
    """Return where a moment lies between the first column's beginning and `end`, in percent."""
    whole = (end - columns[0]) / timedelta(seconds=1)
    return 100 * ((at - columns[0]) / timedelta(seconds=1)) / whole if whole else 0.0


def _text(at: datetime, *, hours: bool) -> str:
    day = f"{at.day} {at:%b}"
    return f"{at:%H:%M}" if hours and at.hour else day


def _steps() -> Iterator[int]:
    yield from (1, 2, 3, 7)
    step = 14
    while True:
        yield step
        step += 7
