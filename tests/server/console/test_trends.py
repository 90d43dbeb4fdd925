"""The trends page shows what an address asks for, and says what it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from teachback.model.project import Project
from teachback.model.trend import Point, Series, Trend
from teachback.server.console.views.periods import read_period
from teachback.server.console.views.trends import (
    MAX_CHARTS,
    TrendsView,
    metrics_of,
    read_trend,
    trends_view,
)
from tests_support import rating, trace

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
METRICS = metrics_of(Project(id="p", name="P", created_at=NOW))


def shown(given: dict[str, str], *keys: tuple[str, ...]) -> TrendsView:
    """Lay out a trend with a series for each key."""
    asked = read_trend(given, read_period(given.get("period"), NOW), METRICS)
    point = Point(at=NOW.replace(hour=0, minute=0), value=0.5, low=0.4, high=0.6, n=90, enough=True)
    series = tuple(Series(key=key, total=point, points=(point,)) for key in keys)
    found = Trend(
        metric=asked.metric, unit="share", better="min", step=asked.step, by=asked.by,
        series=series, hidden=1, marks=(),
    )  # fmt: skip
    return trends_view(asked, found, {"tone": "Unfriendly tone"}, METRICS)


def test_few_lines_share_a_chart_and_many_are_small_ones() -> None:
    """Up to three are drawn together; more get a chart each, on one scale, and the rest is told."""
    (one,) = shown({"by": "role"}, ("a",), ("",)).charts
    assert [line.name for line in one.series] == ["Unknown", "a"]
    many = shown({"by": "role"}, *((f"r{n:02}",) for n in range(15)))
    assert len(many.charts) == MAX_CHARTS
    assert many.hidden == 15 - MAX_CHARTS + 1
    assert {chart.values for chart in many.charts} == {many.charts[0].values}


def test_two_dimensions_are_charts_with_lines() -> None:
    """The first names the chart, the second its lines."""
    view = shown({"by": "role", "and": "locale"}, ("a", "de"), ("a", "en"), ("b", "en"))
    assert [(chart.title, [line.name for line in chart.series]) for chart in view.charts] == [
        ("a", ["de", "en"]), ("b", ["en"]),
    ]  # fmt: skip


def test_reasons_are_always_looked_at_one_by_one() -> None:
    """The metric itself chooses the dimension; lines carry the words that end users read."""
    view = shown({"metric": "reason_share"}, ("tone",))
    assert [line.name for line in view.charts[0].series] == ["Unfriendly tone"]
    assert "by=" not in view.query


@pytest.mark.parametrize(
    ("period", "step", "taken"),
    [("7d", "hour", "hour"), ("30d", "hour", "day"), ("90d", "day", "day"), ("7d", "x", "day")],
)
def test_step_is_taken_when_its_columns_can_be_seen(period: str, step: str, taken: str) -> None:
    """Too many columns are not drawn; nonsense is the usual step."""
    asked = read_trend({"step": step}, read_period(period, NOW), METRICS)
    assert asked.step == asked.period.step == taken
    assert asked.period.columns[-1] <= NOW < asked.period.columns[-1] + timedelta(days=7)


def test_page_measures_what_was_recorded(visitor: httpx2.Client, client: httpx2.Client) -> None:
    """A number on the page is the number in the record, narrowed by the filter."""
    now = datetime.now(UTC).isoformat()
    sent = [trace(f"t-{n}", role="admin" if n else "guest", started_at=now) for n in range(3)]
    said = [rating(f"t-{n}", n % 2, author="u", id=f"f-{n}") for n in range(3)]
    client.post("/v1/batch", json={"traces": sent, "feedback": said})
    html = visitor.get("/trends?metric=traces&q=role:admin").text
    assert "(not over)</th><td>2</td>" in html
    overview = visitor.get("/overview").text
    assert "data-row>3</a>" in overview
    assert "not enough data yet: n" in overview


@pytest.mark.parametrize("query", ["word", "kind:rating", "rle:x"])
def test_page_says_what_cannot_narrow_a_trend(visitor: httpx2.Client, query: str) -> None:
    """Words and fields that no roll-up knows are refused with what could be written instead."""
    answer = visitor.get("/trends", params={"q": query})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
