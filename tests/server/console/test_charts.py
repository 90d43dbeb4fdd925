"""Charts say what was measured, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from teachback.server.console.render import ENVIRONMENT
from teachback.server.console.views.axes import date_ticks, nice_top, value_ticks
from teachback.server.console.views.charts import Chart, ChartMark, ChartSeries, Form, time_chart

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Point:
    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 200
    enough: bool = True


def point(day: int, value: float | None, *, n: int = 200, enough: bool = True) -> Point:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return Point(at=START + day * DAY, value=value, low=low, high=high, n=n, enough=enough)


def chart(
    *points: Point, days: int = 6, form: Form = "line", marks: tuple[ChartMark, ...] = ()
) -> Chart:
    return time_chart(
        "c", "Negative <rate>", [ChartSeries(name="all", points=points)],
        columns=[START + day * DAY for day in range(days)], end=START + days * DAY,
        now=START + days * DAY - timedelta(hours=1), unit="share", form=form, marks=marks,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "top", "step"),
    [(0.37, 0.4, 0.1), (0.04, 0.04, 0.01), (870.0, 1000.0, 250.0), (3.0, 3.0, 1.0),
     (0.0, 1.0, 0.25)],
)  # fmt: skip
def test_axis_ends_at_a_round_number(value: float, top: float, step: float) -> None:
    """It holds the greatest value, in steps that people count in."""
    assert nice_top(value) == pytest.approx((top, step))


def test_share_never_goes_beyond_all() -> None:
    """The axis of a share ends at 100 percent."""
    assert nice_top(0.97, most=1.0)[0] == 1.0
    assert [tick.text for tick in value_ticks(1.0, 0.25, "share")] == [
        "0%", "25%", "50%", "75%", "100%",
    ]  # fmt: skip


@pytest.mark.parametrize("days", [1, 7, 30, 90, 400])
def test_dates_fit_and_name_the_latest(days: int) -> None:
    """Few enough for a phone; the last column is always labelled."""
    columns = [START + day * DAY for day in range(days)]
    ticks = date_ticks(columns, START + days * DAY)
    assert 1 <= len(ticks) <= 5
    assert ticks[-1].text == f"{columns[-1].day} {columns[-1]:%b}"
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_line_is_broken_where_nothing_was_measured() -> None:
    """A gap stays a gap, and what lies between two gaps is a point with its interval."""
    drawn = chart(point(0, 0.2), point(1, 0.3), point(3, 0.4), point(5, 0.2)).series[0]
    assert len(drawn.lines) == len(drawn.bands) == 1
    single, last = drawn.dots
    assert single.top is not None
    assert single.bottom is not None
    assert single.top < single.y < single.bottom
    assert not last.hollow


def test_weak_point_is_hollow_and_carries_no_line() -> None:
    """Not enough data is drawn as such, and said."""
    drawn = chart(point(0, 0.2), point(1, 0.3), point(2, 1.0, n=1, enough=False), point(3, 0.2))
    assert [dot.hollow for dot in drawn.series[0].dots] == [True, False]
    assert len(drawn.series[0].lines) == 1
    assert drawn.rows[2].cells == ("not enough data yet: 100% (90 to 110%), n\u00a0=\u00a01",)
    assert drawn.rows[4].cells == ("nothing measured",)


def test_weak_points_do_not_stretch_the_axis() -> None:
    """The end of an interval that says nothing is not drawn."""
    weak = Point(at=START, value=0.1, low=0.0, high=0.9, n=2, enough=False)
    assert chart(weak, point(1, 0.2)).values[-1].text == "30%"


def test_chart_says_so_when_there_is_too_little() -> None:
    """An empty chart and a weak one are not the same."""
    assert chart().note == "Nothing measured in this time"
    assert chart(point(0, 0.5, n=2, enough=False)).note == "Not enough data yet"
    assert chart(point(0, 0.5)).note == ""


def test_step_that_is_not_over_is_open() -> None:
    """Today's column is told apart from whole days."""
    drawn = chart(point(4, 0.2), point(5, 0.1), form="columns")
    assert [column.open for column in drawn.series[0].columns] == [False, True]
    assert drawn.rows[-1].at == "6 Mar 2026 (not over)"


def test_marks_that_are_close_share_a_letter() -> None:
    """Each is named; those outside the chart's time are left out."""
    marks = (
        ChartMark(at=START + DAY, title="prompt v2"),
        ChartMark(at=START + DAY + timedelta(hours=1), title="release 7"),
        ChartMark(at=START + 3 * DAY, title="prompt v3"),
        ChartMark(at=START - DAY, title="prompt v1"),
    )
    flags = chart(point(0, 0.2), marks=marks).flags
    assert [(flag.letter, flag.titles) for flag in flags] == [
        ("A", ("prompt v2", "release 7")), ("B", ("prompt v3",)),
    ]  # fmt: skip


def test_chart_carries_its_table_when_written() -> None:
    """What is drawn stands in a table with headings, and names are only text."""
    marks = (ChartMark(at=START, title="<b>v2</b>"),)
    drawn = chart(point(0, 0.2), point(1, 0.3), marks=marks)
    html = str(ENVIRONMENT.get_template("parts/charts.html").module.figure(drawn))  # type: ignore[attr-defined]
    assert '<th scope="row">1 Mar 2026</th><td>20% (10 to 30%), n\u00a0=\u00a0200</td>' in html
    assert '<th scope="col"><bdi>all</bdi></th>' in html
    assert "Negative &lt;rate&gt;" in html
    assert "<b>v2</b>" not in html
    assert " style=" not in html
