"""The overview: what hurts most, for whom, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from teachback.model.project import Reason
from teachback.model.trend import Mark, Point, Series, Trend
from teachback.server.console.views import formats
from teachback.server.console.views.bars import Bar, bars
from teachback.server.console.views.cases import cases
from teachback.server.console.views.changes import (
    NO_CHANGE,
    Change,
    count_change,
    difference,
    share_change,
)
from teachback.server.console.views.charts import Chart, ChartMark, ChartSeries, time_chart
from teachback.server.console.views.periods import PERIODS, Period, floor

#: Lines of each list: more is a report, not an overview.
MAX_ROWS = 8
#: Parts of the traffic that are looked at, as they are called in filters, and in words.
DIMENSIONS = {
    "role": "Role",
    "surface": "Surface",
    "locale": "Language",
    "model": "Model",
    "environment": "Environment",
}
#: What a mark is called; documents change too often to be marks of a whole.
MARKED = {"prompt": "prompt", "model": "model", "release": "release"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A trend in the period, and in the one before."""

    now: Trend
    before: Trend


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Everything that the overview tells."""

    negative: Pair
    response: Pair
    reasons: Pair
    traces: Pair
    feedback: Pair
    #: Negative rate by each dimension.
    slices: Mapping[str, Trend]
    #: Negative rate in steps that are long enough to say something.
    line: Trend


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number at the top."""

    title: str
    value: str
    #: Interval and sample size, or what is missing.
    detail: str
    change: Change
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BarRow:
    """One line of a table of bars."""

    title: str
    #: What kind of thing the title names; empty when the table says it.
    about: str
    bar: Bar
    change: Change
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A period that can be chosen."""

    title: str
    href: str
    current: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The page."""

    period: Period
    periods: tuple[Choice, ...]
    figures: tuple[Figure, ...]
    reasons: tuple[BarRow, ...]
    slices: tuple[BarRow, ...]
    #: The negative rate of everything, that slices are compared with.
    whole: str
    since_when: Chart
    volumes: tuple[Chart, ...]
    #: Nothing was recorded in the period.
    empty: bool


def overview(measured: Measured, period: Period, reasons: Mapping[str, Reason]) -> Overview:
    """Lay out what was measured."""
    whole = total(measured.negative.now)
    return Overview(
        period=period,
        periods=tuple(
            Choice(title=title, href=f"/overview?period={name}", current=name == period.name)
            for name, (title, _, _) in PERIODS.items()
        ),
        figures=_figures(measured, period),
        reasons=tuple(_reasons(measured.reasons, period, reasons)),
        slices=tuple(_slices(measured.slices, whole, period)),
        whole="" if whole is None or whole.value is None else formats.share(whole.value),
        since_when=_since_when(measured.line, period),
        volumes=_volumes(measured, period),
        empty=not _count(measured.traces.now) and not _count(measured.feedback.now),
    )


def total(trend: Trend) -> Point | None:
    """Return what was measured over a whole period, of a trend that is not split."""
    return trend.series[0].total if trend.series else None


def _figures(measured: Measured, period: Period) -> tuple[Figure, ...]:
    since = ("since", period.name)
    return (
        _rate(
            "Negative rate", "of judged answers", measured.negative, "min",
            cases("/feedback", ("negative", "yes"), since),
        ),
        _rate(
            "Response rate", "of answers", measured.response, "max",
            cases("/feedback", since),
        ),
        _volume("Answers", measured.traces, period, cases("/sessions", since)),
        _volume("Feedback", measured.feedback, period, cases("/feedback", since)),
    )  # fmt: skip


def _rate(title: str, of: str, pair: Pair, better: str, href: str) -> Figure:
    now, before = total(pair.now), total(pair.before)
    if now is None or now.value is None or not now.n:
        return Figure(
            title=title, value="—", detail="nothing to measure yet", change=NO_CHANGE, href=href
        )
    if not now.enough or now.low is None or now.high is None:
        detail = f"not enough data yet: {formats.sample(now.n)}"
        return Figure(title=title, value="—", detail=detail, change=NO_CHANGE, href=href)
    change = share_change(now, before, better=better) if before else NO_CHANGE
    detail = f"{formats.interval(now.low, now.high, 'share')}, {of}, {formats.sample(now.n)}"
    return Figure(
        title=title, value=formats.share(now.value), detail=detail, change=change, href=href
    )


def _volume(title: str, pair: Pair, period: Period, href: str) -> Figure:
    now = _count(pair.now)
    # Today is not over: whole steps of time are compared with as many of them.
    passed, before = (
        _whole_steps(pair.now, period.until),
        _whole_steps(pair.before, period.before[1]),
    )
    return Figure(
        title=title, value=formats.count(now), detail="in this time",
        change=count_change(passed, before), href=href,
    )  # fmt: skip


def _whole_steps(trend: Trend, until: datetime) -> float:
    open_ = floor(until, trend.step)
    return sum(
        point.value or 0.0 for one in trend.series for point in one.points if point.at < open_
    )


def _count(trend: Trend) -> float:
    measured = total(trend)
    return measured.value or 0.0 if measured else 0.0


def _reasons(pair: Pair, period: Period, reasons: Mapping[str, Reason]) -> list[BarRow]:
    """Return what is wrong most often, with its change."""
    before = {series.key: series.total for series in pair.before.series}
    wrong = [
        one
        for one in pair.now.series
        if one.total.value
        and one.total.enough
        and (one.key[0] not in reasons or reasons[one.key[0]].polarity == "negative")
    ]
    wrong.sort(key=_by_value)
    shown = wrong[:MAX_ROWS]
    rows = []
    for one, bar in zip(shown, bars([one.total for one in shown]), strict=True):
        label = one.key[0]
        earlier = before.get(one.key)
        rows.append(
            BarRow(
                title=reasons[label].title if label in reasons else label,
                about="",
                bar=bar,
                change=share_change(one.total, earlier, better="min") if earlier else NO_CHANGE,
                href=cases("/feedback", ("reason", label), ("since", period.name)),
            )
        )
    return rows


def _slices(slices: Mapping[str, Trend], whole: Point | None, period: Period) -> list[BarRow]:
    """Return the parts of the traffic whose interval lies above the rate of the whole."""
    if whole is None or whole.value is None:
        return []
    worse = [
        (dimension, one)
        for dimension, trend in slices.items()
        for one in trend.series
        if one.key[0] and one.total.enough and (one.total.low or 0.0) > whole.value
    ]
    worse.sort(key=lambda pair: _by_value(pair[1]))
    shown = worse[:MAX_ROWS]
    drawn = bars([one.total for _, one in shown], whole)
    return [
        BarRow(
            title=one.key[0],
            about=DIMENSIONS[dimension],
            bar=bar,
            change=_against(one.total, whole),
            href=cases(
                "/feedback", (dimension, one.key[0]), ("negative", "yes"), ("since", period.name)
            ),
        )
        for (dimension, one), bar in zip(shown, drawn, strict=True)
    ]


def _against(part: Point, whole: Point) -> Change:
    """Say how much worse a part is than the whole, which it is a part of."""
    ends = difference(part, whole)
    if ends is None:
        return NO_CHANGE
    return share_change(part, whole, better="min")


def _by_value(series: Series) -> tuple[float, tuple[str, ...]]:
    return -(series.total.value or 0.0), series.key


def is_sparse(trend: Trend) -> bool:
    """Tell whether most steps of a trend say too little for a line."""
    points = [point for one in trend.series for point in one.points]
    return sum(point.enough for point in points) * 2 < len(points)


def _since_when(trend: Trend, period: Period) -> Chart:
    period = replace(period, step=trend.step)
    return time_chart(
        "since-when", f"Negative rate per {trend.step}", [_line("Negative rate", trend)],
        columns=period.columns, end=period.end, now=period.until, unit="share",
        marks=chart_marks(trend.marks), href=_trend_of("negative_rate", period, step=trend.step),
    )  # fmt: skip


def chart_marks(marks: Sequence[Mark]) -> list[ChartMark]:
    """Name what began: a version of a prompt or a model, a release."""
    return [
        ChartMark(
            at=mark.at, title=" ".join(filter(None, (MARKED[mark.kind], mark.name, mark.version)))
        )
        for mark in marks
        if mark.kind in MARKED
    ]


def _volumes(measured: Measured, period: Period) -> tuple[Chart, ...]:
    named = (
        ("traces", "Answers", measured.traces.now),
        ("feedback", "Feedback", measured.feedback.now),
    )
    counts = tuple(
        time_chart(
            f"volume-{name}", title, [_line(title, trend)], columns=period.columns, end=period.end,
            now=period.until, unit=trend.unit, form="columns", small=True,
            href=_trend_of(name, period),
        )
        for name, title, trend in named
    )  # fmt: skip
    response = time_chart(
        "response", "Response rate", [_line("Response rate", measured.response.now)],
        columns=period.columns, end=period.end, now=period.until, unit="share", small=True,
        href=_trend_of("response_rate", period),
    )  # fmt: skip
    return *counts, response


def _trend_of(metric: str, period: Period, **others: str) -> str:
    return f"/trends?{urlencode({'metric': metric, 'period': period.name, **others})}"


def _line(name: str, trend: Trend) -> ChartSeries:
    return ChartSeries(name=name, points=trend.series[0].points if trend.series else ())
