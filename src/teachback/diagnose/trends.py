"""Trends: how a metric goes on, for whom, and what changed at the time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from teachback.errors import Invalid
from teachback.model.query import Query
from teachback.model.trend import Better, Mark, Point, Series, Trend, TrendQuery
from teachback.stats.intervals import Interval, mean, share
from teachback.store import trends as store
from teachback.store import versions
from teachback.store.database import Database, Row
from teachback.store.where import DIMENSIONS, where

#: Longest time a trend spans, and longest in hours: what a chart can show.
MAX_DAYS, MAX_HOURLY_DAYS = 1_100, 31
#: Series of one answer; the rest is counted.
MAX_SERIES = 20
#: Prefix of the metrics that are the mean score of a feedback name.
SCORE = "score:"


@dataclass(frozen=True, slots=True)
class Metric:
    """How the sums of a cell become a value."""

    unit: str
    better: Better | None
    value: Callable[[Row], Interval | None]


def _share(part: str, whole: str) -> Callable[[Row], Interval | None]:
    return lambda sums: share(sums[part], sums[whole])


def _mean(name: str) -> Callable[[Row], Interval | None]:
    return lambda sums: mean(sums[f"{name}_sum"], sums[f"{name}_squares"], sums[f"{name}_n"])


def _count(name: str) -> Callable[[Row], Interval | None]:
    return lambda sums: Interval(float(sums[name]), 0, 0, sums[name], enough=True)


METRICS: dict[str, Metric] = {
    "negative_rate": Metric("share", "min", _share("negative", "judged")),
    "correction_rate": Metric("share", "min", _share("corrected", "judged")),
    "response_rate": Metric("share", None, _share("judged", "traces")),
    "error_rate": Metric("share", "min", _share("failed", "traces")),
    "reason_share": Metric("share", None, _share("given", "judged")),
    "latency_ms": Metric("ms", "min", _mean("latency")),
    "cost_usd": Metric("USD", "min", _mean("cost")),
    "traces": Metric("traces", None, _count("traces")),
    "feedback": Metric("judgements", None, _count("feedback")),
}
_SCORES = Metric("score", None, lambda sums: mean(sums["total"], sums["squares"], sums["n"]))


async def trend(db: Database, project_id: str, query: TrendQuery) -> Trend:
    """Return a metric by time and dimensions, exact at the moment of asking.

    Raises Invalid for an unknown metric or dimension, or a time that is too long or empty.
    """
    (found,) = await trends(db, project_id, [query])
    return found


async def trends(db: Database, project_id: str, queries: Sequence[TrendQuery]) -> list[Trend]:
    """Answer several questions at once, each as `trend` does; what they share is read once."""
    for query in queries:
        _metric(query)
    queries = [_aligned(query) for query in queries]
    for query in queries:
        _check(query)
    reads: dict[_Read, list[TrendQuery]] = defaultdict(list)
    for query in queries:
        reads[_read_of(query)].append(query)
    times = list(dict.fromkeys((query.since, query.until) for query in queries))
    rows, marks = await asyncio.gather(
        asyncio.gather(*(_rows(db, project_id, among) for among in reads.values())),
        asyncio.gather(*(versions.list_marks(db, project_id, since=a, until=b) for a, b in times)),
    )
    of_read, of_time = dict(zip(reads, rows, strict=True)), dict(zip(times, marks, strict=True))
    return [
        _trend(query, of_read[_read_of(query)], of_time[query.since, query.until])
        for query in queries
    ]


#: What questions that are answered by one read have in common.
_Read = tuple[object, ...]


def _read_of(query: TrendQuery) -> _Read:
    shared = ("reasons" if query.metric == "reason_share" else "cells", query.by, query.where)
    if query.metric.startswith(SCORE):
        shared = (query.metric, query.by, query.where)
    # The week in which a time ends may be one in which another begins.
    apart = (query.since, query.until) if query.step == "week" else ()
    return (*shared, query.step, *apart)


def _trend(query: TrendQuery, rows: Sequence[Row], marks: Sequence[Row]) -> Trend:
    metric = _metric(query)
    if query.step != "week":
        rows = [row for row in rows if query.since <= row["at"] < query.until]
    series = _series(rows, query, metric)
    return Trend(
        metric=query.metric,
        unit=metric.unit,
        better=metric.better,
        step=query.step,
        by=query.by,
        series=tuple(series[:MAX_SERIES]),
        hidden=max(0, len(series) - MAX_SERIES),
        marks=tuple(
            Mark(at=row["first_seen_at"], kind=row["kind"], name=row["name"],
                 version=row["version"]) for row in marks
        ),
    )  # fmt: skip


def _metric(query: TrendQuery) -> Metric:
    if query.metric.startswith(SCORE) and len(query.metric) > len(SCORE):
        return _SCORES
    found = METRICS.get(query.metric)
    if found is None:
        raise Invalid(
            "metric", value=query.metric, rule=f"a metric is one of {', '.join(METRICS)}",
            fix=f"Choose one, or write {SCORE}NAME for the mean score of feedback of that name",
        )  # fmt: skip
    return found


def _check(query: TrendQuery) -> None:
    allowed = (*DIMENSIONS, *(("reason",) if query.metric == "reason_share" else ()))
    if query.metric == "reason_share" and "reason" not in query.by:
        raise Invalid(
            "by", value=",".join(query.by), rule="reason_share is a share of each reason",
            fix="Add reason to the dimensions",
        )  # fmt: skip
    if len(query.by) > 2 or len(set(query.by)) < len(query.by) or not set(query.by) <= {*allowed}:
        raise Invalid(
            "by", value=",".join(query.by),
            rule=f"a trend has at most two of the dimensions {', '.join(allowed)}",
            fix="Leave it out, or name one or two, separated by a comma",
        )  # fmt: skip
    for term in query.where:
        if term.field not in DIMENSIONS:
            raise Invalid(
                "where", value=term.field,
                rule=f"a trend is narrowed by {', '.join(DIMENSIONS)}",
                fix="Leave the condition out",
            )  # fmt: skip
    longest = MAX_HOURLY_DAYS if query.step == "hour" else MAX_DAYS
    if not timedelta() < query.until - query.since <= timedelta(days=longest):
        raise Invalid(
            "since", value=query.since.isoformat(),
            rule=f"a trend by {query.step} spans up to {longest} days and ends after it begins",
            fix="Move since or until, or take a longer step",
        )  # fmt: skip


def _aligned(query: TrendQuery) -> TrendQuery:
    """Widen the time to whole days, or whole hours, in UTC: what the cells hold."""
    width = timedelta(hours=1) if query.step == "hour" else timedelta(days=1)
    since = _floor(query.since, width)
    until = _floor(query.until, width)
    return replace(query, since=since, until=until if until == query.until else until + width)


def _floor(at: datetime, width: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // width * width


async def _rows(db: Database, project_id: str, among: Sequence[TrendQuery]) -> list[Row]:
    """Return what answers these questions, of one read, over all of their time."""
    query = among[0]
    about = store.About(
        project_id=project_id, since=min(one.since for one in among),
        until=max(one.until for one in among), step=query.step,
        narrowed=where(Query(terms=query.where), "trace", datetime.now(UTC)),
    )  # fmt: skip
    if query.metric.startswith(SCORE):
        name = query.metric.removeprefix(SCORE)
        return await store.read_scores(db, about, name, by=query.by)
    if query.metric != "reason_share":
        return await store.read_cells(db, about, by=query.by)
    rest = [one for one in query.by if one != "reason"]
    told = await store.read_reasons(db, about, by=rest)
    return _reason_rows(told, query.by)


def _reason_rows(told: Sequence[Row], by: Sequence[str]) -> list[Row]:
    """Give every reason each step in which anything was judged: silence counts as zero."""
    place = by.index("reason")
    names = [f"key_{n}" for n in range(len(by))]
    counts: dict[tuple[object, ...], int] = {}
    reasons: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in told:
        if row["reason"] is not None:
            rest = _key(row, len(by) - 1)
            counts[row["at"], *rest, row["reason"]] = row["given"]
            reasons[rest].add(row["reason"])
    rows: list[Row] = []
    for row in told:
        if row["reason"] is not None:
            continue
        rest, at, judged = _key(row, len(by) - 1), row["at"], row["judged"]
        for reason in reasons[rest]:
            keys = zip(names, (*rest[:place], reason, *rest[place:]), strict=True)
            given = counts.get((at, *rest, reason), 0)
            rows.append({"at": at, "judged": judged, "given": given, **dict(keys)})
    return rows


def _key(row: Row, size: int) -> tuple[str, ...]:
    return tuple(row[f"key_{place}"] for place in range(size))


def _series(rows: Iterable[Row], query: TrendQuery, metric: Metric) -> list[Series]:
    by_key: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_key[_key(row, len(query.by))].append(row)
    series = [_one_series(key, group, query, metric) for key, group in by_key.items()]
    return sorted(series, key=lambda one: (-one.total.n, one.key))


def _one_series(key: tuple[str, ...], rows: list[Row], query: TrendQuery, metric: Metric) -> Series:
    rows.sort(key=lambda row: row["at"])
    points = (_point(row["at"], metric.value(row), metric.unit) for row in rows)
    return Series(
        key=key,
        total=_point(query.since, metric.value(_summed(rows)), metric.unit),
        points=tuple(point for point in points if point.n),
    )


def _summed(rows: Sequence[Row]) -> Row:
    names = [name for name in rows[0] if name != "at" and not name.startswith("key_")]
    return {name: sum(row[name] for row in rows) for name in names}


def _point(at: datetime, found: Interval | None, unit: str) -> Point:
    if found is None:
        return Point(at=at, value=None, n=0, enough=False)
    if unit in ("traces", "judgements"):
        return Point(at=at, value=found.value, n=found.n, enough=True)
    return Point(
        at=at, value=found.value, low=found.low, high=found.high, n=found.n, enough=found.enough
    )
