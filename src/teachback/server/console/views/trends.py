"""The trends page: any metric over time, in total or part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args
from urllib.parse import urlencode

from teachback.diagnose.trends import SCORE
from teachback.model.project import Project
from teachback.model.trend import Series, Step, Trend
from teachback.server.console.views.charts import (
    MAX_SERIES,
    Chart,
    ChartSeries,
    greatest,
    time_chart,
)
from teachback.server.console.views.filters import Choice, Option
from teachback.server.console.views.formats import COUNTS
from teachback.server.console.views.overview import chart_marks
from teachback.server.console.views.periods import PERIODS, Period

PATH = "/trends"
#: Charts beside each other; the rest have less behind them and are counted.
MAX_CHARTS = 12
#: Lines that are still easily followed when they cross.
MAX_TOGETHER = 3
#: Columns that can still be pointed at on a phone.
MAX_COLUMNS = 200
STEP_TITLES: dict[Step, str] = {"hour": "Hour", "day": "Day", "week": "Week"}
HOURS: dict[Step, int] = {"hour": 1, "day": 24, "week": 168}

METRICS = {
    "negative_rate": "Negative rate",
    "reason_share": "Reasons",
    "correction_rate": "Correction rate",
    "response_rate": "Response rate",
    "error_rate": "Error rate",
    "latency_ms": "Latency",
    "cost_usd": "Cost",
    "traces": "Answers",
    "feedback": "Feedback",
}
DIMENSIONS = {
    "role": "Role",
    "surface": "Surface",
    "locale": "Language",
    "model": "Model",
    "prompt": "Prompt version",
    "release": "Release",
    "environment": "Environment",
}
#: Reasons are looked at one by one.
REASON = "reason"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What an address asks for."""

    metric: str
    title: str
    by: tuple[str, ...]
    step: Step
    period: Period
    #: The filter, as typed.
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrendsView:
    """The page."""

    title: str
    choices: tuple[Choice, ...]
    charts: tuple[Chart, ...]
    #: Parts that are not shown.
    hidden: int
    text: str
    #: The query of this page's address, to be saved.
    query: str


def metrics_of(project: Project) -> dict[str, str]:
    """Return the metrics to choose from: name → title; a project's own are means of its scores."""
    own = {f"{SCORE}{one.name}": f"Score: {one.name}" for one in project.metrics}
    return METRICS | own


def read_trend(given: Mapping[str, str], period: Period, metrics: Mapping[str, str]) -> Asked:
    """Return what an address asks for; what means nothing is dropped."""
    named = given.get("metric", "")
    metric = named if named in metrics else "negative_rate"
    by = [given.get(name, "") for name in ("by", "and")]
    chosen = list(dict.fromkeys(one for one in by if one in DIMENSIONS))
    if metric == "reason_share":
        chosen = [REASON, *chosen][:2]
    step = _step(given.get("step", ""), period)
    return Asked(
        metric=metric,
        title=metrics[metric],
        by=tuple(chosen),
        step=step,
        period=replace(period, step=step),
        text=given.get("q", "").replace("\0", "").strip(),
    )


def trends_view(
    asked: Asked, trend: Trend | None, titles: Mapping[str, str], metrics: Mapping[str, str]
) -> TrendsView:
    """Lay out a trend; `titles` name reasons. There is none when the filter cannot be read."""
    series = (
        sorted(trend.series, key=lambda one: (-one.total.n, -(one.total.value or 0.0), one.key))
        if trend
        else []
    )
    groups = _grouped(series, asked.by)
    shown = dict(list(groups.items())[:MAX_CHARTS])
    return TrendsView(
        title=asked.title,
        choices=_choices(asked, metrics),
        charts=_charts(asked, trend, shown, titles) if trend else (),
        hidden=len(groups) - len(shown) + (trend.hidden if trend else 0),
        text=asked.text,
        query=urlencode(_values(asked)),
    )


def _step(text: str, period: Period) -> Step:
    """Return the step asked for, unless it cuts the period into too many columns to see."""
    for step in get_args(Step):
        if step == text and period.days * 24 / HOURS[step] <= MAX_COLUMNS:
            return step  # type: ignore[no-any-return]
    return period.step


def _grouped(series: Sequence[Series], by: tuple[str, ...]) -> dict[str, list[Series]]:
    """Put into one chart what can be told apart there: key of the chart → its lines."""
    if len(by) < 2 and len(series) <= MAX_TOGETHER:
        return {"": list(series)}
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(one.key[0] if one.key else "", []).append(one)
    return groups


def _charts(
    asked: Asked, trend: Trend, groups: Mapping[str, Sequence[Series]], titles: Mapping[str, str]
) -> tuple[Chart, ...]:
    small = len(groups) > 1
    lines = {
        key: [_line(asked, one, titles, alone=len(asked.by) < 2 and small) for one in group]
        for key, group in groups.items()
    }
    top = max((greatest(group[:MAX_SERIES]) for group in lines.values()), default=0.0)
    return tuple(
        time_chart(
            _id(number, small=small),
            titles.get(key, key) or ("Unknown" if small else asked.title),
            group[:MAX_SERIES],
            columns=asked.period.columns, end=asked.period.end, now=asked.period.until,
            unit=trend.unit, form="columns" if trend.unit in COUNTS and not asked.by else "line",
            href=f"{PATH}?{urlencode(_values(asked))}#{_id(number, small=small)}",
            marks=() if small else chart_marks(trend.marks), top=top, small=small,
        )
        for number, (key, group) in enumerate(lines.items(), 1)
    )  # fmt: skip


def _id(number: int, *, small: bool) -> str:
    return f"trend-{number}" if small else "trend"


def _line(asked: Asked, series: Series, titles: Mapping[str, str], *, alone: bool) -> ChartSeries:
    last = series.key[-1] if series.key else ""
    name = asked.title if alone or not series.key else titles.get(last, last)
    return ChartSeries(name=name or "Unknown", points=series.points)


def _choices(asked: Asked, metrics: Mapping[str, str]) -> tuple[Choice, ...]:
    by = [*(one for one in asked.by if one != REASON), "", ""]
    second = by[0] and asked.metric != "reason_share"
    steps: dict[str, str] = {
        str(step): title
        for step, title in STEP_TITLES.items()
        if asked.period.days * 24 / HOURS[step] <= MAX_COLUMNS
    }
    periods = {name: f"Last {title}" for name, (title, _, _) in PERIODS.items()}
    return (
        _choice("metric", "Metric", "", asked.metric, metrics),
        _choice("by", "By", "In total", by[0], DIMENSIONS),
        *([_choice("and", "And by", "and by nothing else", by[1], DIMENSIONS)] if second else []),
        _choice("step", "Step", "", asked.step, steps),
        _choice("period", "Period", "", asked.period.name, periods),
    )


def _choice(name: str, title: str, nothing: str, value: str, options: Mapping[str, str]) -> Choice:
    listed = tuple(Option(value=value, title=text) for value, text in options.items())
    return Choice(name=name, title=title, any=nothing, value=value, options=listed)


def _values(asked: Asked) -> dict[str, str]:
    by = [one for one in asked.by if one != REASON]
    given = dict(zip(("by", "and"), by, strict=False))
    values = {
        "metric": asked.metric, **given, "step": asked.step, "period": asked.period.name,
        "q": asked.text,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value}
