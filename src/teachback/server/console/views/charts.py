"""Charts over time: observations become lines, bands, gaps, labels and a table.

Across, everything is in percent of the plot, so that a chart fits every width without script; down,
it is in pixels. Nothing here knows how a chart is coloured: that is charts.css.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Literal, Protocol

from teachback.server.console.views import formats
from teachback.server.console.views.axes import (
    Tick,
    date_ticks,
    edges,
    middle,
    nice_top,
    place,
    value_ticks,
)

HEIGHT = 180
SMALL_HEIGHT = 84
#: Width of the box in which lines are drawn before the browser stretches it.
BOX = 1_000
#: Marks nearer to each other than this share a letter, in percent of the width.
MARKS_APART = 4.0
#: Colours that can be told apart in one plot.
MAX_SERIES = 6
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Form = Literal["line", "columns"]


class Observation(Protocol):
    """What was measured in one step of time."""

    @property
    def at(self) -> datetime: ...
    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def n(self) -> int: ...
    @property
    def enough(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartSeries:
    """One line of a chart."""

    name: str
    points: Sequence[Observation]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartMark:
    """Something that began at a moment, such as a version of the prompt."""

    at: datetime
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One observation that is drawn as a point."""

    x: float
    y: float
    #: There is too little behind it to draw a line through.
    hollow: bool
    #: Ends of its interval, where no band shows it.
    top: float | None = None
    bottom: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One bar of a chart of columns."""

    x: float
    width: float
    y: float
    height: float
    #: Its step of time is not over.
    open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """One series, drawn; paths are in a box of BOX by the height."""

    name: str
    number: int
    lines: tuple[str, ...]
    #: Where a line may have gone through points that say little.
    guesses: tuple[str, ...]
    bands: tuple[str, ...]
    dots: tuple[Dot, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A step of time that can be pointed at, with what is said of it."""

    x: float
    width: float
    middle: float
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A letter on the axis, and what began there."""

    x: float
    letter: str
    titles: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One line of the table behind a chart."""

    at: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart, ready to be written."""

    id: str
    title: str
    #: What can be seen, in one sentence, for those who do not see it.
    summary: str
    height: int
    series: tuple[Drawn, ...]
    values: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    flags: tuple[Flag, ...]
    hits: tuple[Hit, ...]
    rows: tuple[TableRow, ...]
    #: Nothing was measured, or too little to draw a line.
    note: str
    empty: bool
    #: Where this chart alone can be seen and shared.
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What the series of a chart share: time across, values down."""

    #: Beginnings of the steps of time, in order.
    columns: tuple[datetime, ...]
    end: datetime
    unit: str
    top: float
    step: float
    height: int

    def x(self, index: int) -> float:
        return middle(self.columns, index, self.end)

    def y(self, value: float) -> float:
        return round(self.height * (1 - min(max(value, 0.0), self.top) / self.top), 2)


def time_chart(
    id: str,  # noqa: A002 - the element's id
    title: str,
    series: Sequence[ChartSeries],
    *,
    columns: Sequence[datetime],
    end: datetime,
    now: datetime,
    unit: str = "",
    form: Form = "line",
    marks: Sequence[ChartMark] = (),
    href: str = "",
    top: float | None = None,
    small: bool = False,
) -> Chart:
    """Draw series over the steps of time that begin at `columns` and finish at `end`.

    `top` is the greatest value of charts that are to be compared.
    """
    height = SMALL_HEIGHT if small else HEIGHT
    highest, step = nice_top(
        greatest(series) if top is None else top, most=1.0 if unit == "share" else math.inf
    )
    frame = Frame(columns=tuple(columns), end=end, unit=unit, top=highest, step=step, height=height)
    flags = tuple(_flags(frame, marks))
    rows = tuple(_rows(frame, series, now))
    ticks = value_ticks(highest, step, unit)
    empty = not any(point.n for one in series for point in one.points)
    return Chart(
        id=id, title=title, summary=_summary(series, unit), height=height, href=href,
        series=tuple(_drawn(frame, one, at, form, now) for at, one in enumerate(series, 1)),
        values=(ticks[0], ticks[-1]) if small else ticks,
        dates=date_ticks(frame.columns, end, most=3 if small else 5),
        flags=flags, hits=tuple(_hits(frame, series, rows, flags)), rows=rows,
        note=_note(series), empty=empty,
    )  # fmt: skip


def greatest(series: Sequence[ChartSeries]) -> float:
    """Return the greatest value to be drawn, ends of reliable intervals among them."""
    return max(
        (
            point.high if point.enough and point.high is not None else point.value or 0.0
            for one in series
            for point in one.points
            if point.n
        ),
        default=0.0,
    )


def observed(point: Observation, unit: str) -> str:
    """Write an observation with its interval and sample size."""
    if point.value is None or not point.n:
        return "nothing measured"
    value = formats.measure(point.value, unit)
    if point.low is not None and point.high is not None:
        value += f" ({formats.interval(point.low, point.high, unit)})"
    if unit not in formats.COUNTS:
        value += f", {formats.sample(point.n)}"
    return value if point.enough else f"not enough data yet: {value}"


def _drawn(frame: Frame, series: ChartSeries, number: int, form: Form, now: datetime) -> Drawn:
    by_time = {point.at: point for point in series.points}
    points = [by_time.get(at) for at in frame.columns]
    if form == "columns":
        columns = tuple(_columns(frame, points, now))
        return Drawn(
            name=series.name,
            number=number,
            lines=(),
            guesses=(),
            bands=(),
            dots=(),
            columns=columns,
        )
    runs = list(_runs(points))
    return Drawn(
        name=series.name,
        number=number,
        lines=tuple(_line(frame, run) for run in runs if len(run) > 1),
        guesses=tuple(_guesses(frame, points)),
        bands=tuple(band for run in runs if len(run) > 1 and (band := _band(frame, run))),
        dots=tuple(_dots(frame, points, runs)),
        columns=(),
    )


def _runs(points: Sequence[Observation | None]) -> Iterator[list[tuple[int, Observation]]]:
    """Yield what a line may be drawn through: neighbours with enough behind each."""
    numbered = enumerate(points)
    for solid, group in groupby(numbered, key=lambda pair: _is_solid(pair[1])):
        run = [(index, point) for index, point in group if point is not None]
        if solid:
            yield run


def _is_solid(point: Observation | None) -> bool:
    return point is not None and point.enough and point.value is not None


def _guesses(frame: Frame, points: Sequence[Observation | None]) -> Iterator[str]:
    """Yield lines between measured neighbours of which one says little."""
    for one, other in pairwise(enumerate(points)):
        pair = [(i, p) for i, p in (one, other) if p is not None and p.value is not None and p.n]
        if len(pair) == 2 and not all(_is_solid(point) for _, point in pair):
            yield _line(frame, pair)


def _line(frame: Frame, run: Sequence[tuple[int, Observation]]) -> str:
    return "M" + "L".join(_at(frame, index, point.value or 0.0) for index, point in run)


def _band(frame: Frame, run: Sequence[tuple[int, Observation]]) -> str:
    known = [(i, p) for i, p in run if p.low is not None and p.high is not None]
    if len(known) < len(run):
        return ""
    upper = [_at(frame, index, point.high or 0.0) for index, point in run]
    lower = [_at(frame, index, point.low or 0.0) for index, point in reversed(run)]
    return "M" + "L".join(upper + lower) + "Z"


def _at(frame: Frame, index: int, value: float) -> str:
    return f"{frame.x(index) * BOX / 100:.1f} {frame.y(value):.1f}"


def _dots(
    frame: Frame,
    points: Sequence[Observation | None],
    runs: Sequence[Sequence[tuple[int, Observation]]],
) -> Iterator[Dot]:
    """Yield the points that no line says enough about: the last one, single ones, weak ones."""
    single = {run[0][0] for run in runs if len(run) == 1}
    last = runs[-1][-1][0] if runs else -1
    for index, point in enumerate(points):
        if point is None or point.value is None or not point.n:
            continue
        if point.enough and index not in single and index != last:
            continue
        alone = index in single and point.low is not None and point.high is not None
        yield Dot(
            x=frame.x(index),
            y=frame.y(point.value),
            hollow=not point.enough,
            top=frame.y(point.high or 0.0) if alone else None,
            bottom=frame.y(point.low or 0.0) if alone else None,
        )


def _columns(frame: Frame, points: Sequence[Observation | None], now: datetime) -> Iterator[Column]:
    for index, point in enumerate(points):
        if point is None or not point.value:
            continue
        begins, ends = edges(frame.columns, index, frame.end)
        y = frame.y(point.value)
        yield Column(
            x=begins + (ends - begins) * 0.15,
            width=(ends - begins) * 0.7,
            y=y,
            height=frame.height - y,
            open=_is_open(frame, index, now),
        )


def _is_open(frame: Frame, index: int, now: datetime) -> bool:
    after = frame.columns[index + 1] if index + 1 < len(frame.columns) else frame.end
    return after > now


def _flags(frame: Frame, marks: Sequence[ChartMark]) -> Iterator[Flag]:
    if not frame.columns:
        return
    inside = [mark for mark in marks if frame.columns[0] <= mark.at < frame.end]
    groups: list[list[ChartMark]] = []
    for mark in sorted(inside, key=lambda mark: (mark.at, mark.title)):
        x = place(frame.columns, mark.at, frame.end)
        if groups and x - place(frame.columns, groups[-1][0].at, frame.end) < MARKS_APART:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    for letter, group in zip(LETTERS, groups, strict=False):
        x = place(frame.columns, group[0].at, frame.end)
        titles = tuple(mark.title for mark in group)
        yield Flag(x=x, letter=letter, titles=titles, at=group[0].at)


def _hits(
    frame: Frame, series: Sequence[ChartSeries], rows: Sequence[TableRow], flags: Sequence[Flag]
) -> Iterator[Hit]:
    for index, row in enumerate(rows):
        begins, ends = edges(frame.columns, index, frame.end)
        named = [one.name for one in series]
        said = [f"{name}: {cell}" for name, cell in zip(named, row.cells, strict=True)]
        began = [title for flag in flags if begins <= flag.x < ends for title in _began(flag)]
        yield Hit(
            x=begins, width=ends - begins, middle=(begins + ends) / 2, lines=(row.at, *said, *began)
        )


def _began(flag: Flag) -> list[str]:
    return [f"{flag.letter}: {title}" for title in flag.titles]


def _rows(frame: Frame, series: Sequence[ChartSeries], now: datetime) -> Iterator[TableRow]:
    values = [{point.at: point for point in one.points} for one in series]
    hours = len(frame.columns) > 1 and (frame.columns[1] - frame.columns[0]).days < 1
    for index, at in enumerate(frame.columns):
        open_ = " (not over)" if _is_open(frame, index, now) else ""
        yield TableRow(
            at=f"{at.day} {at:%b %Y}{f', {at:%H:%M}' if hours else ''}{open_}",
            cells=tuple(
                observed(points[at], frame.unit) if at in points else "nothing measured"
                for points in values
            ),
        )


def _summary(series: Sequence[ChartSeries], unit: str) -> str:
    """Say where each line begins and ends."""
    told = []
    for one in series:
        solid = [
            point.value for point in one.points if _is_solid(point) and point.value is not None
        ]
        if len(solid) > 1:
            begin, last = formats.measure(solid[0], unit), formats.measure(solid[-1], unit)
            told.append(f"{one.name} goes from {begin} to {last}")
    return "; ".join(told) + "." if told else ""


def _note(series: Sequence[ChartSeries]) -> str:
    points = [point for one in series for point in one.points if point.n]
    if not points:
        return "Nothing measured in this time"
    return "" if any(map(_is_solid, points)) else "Not enough data yet"
