"""The overview names what is sure, and says where it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from teachback.model.project import DEFAULT_REASONS
from teachback.model.trend import Point, Series, Trend
from teachback.server.console.views.changes import points, share_change
from teachback.server.console.views.overview import (
    Measured,
    Overview,
    Pair,
    is_sparse,
    overview,
)
from teachback.server.console.views.periods import floor, read_period

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
Totals = dict[tuple[str, ...], Point]
REASONS = {reason.label: reason for reason in DEFAULT_REASONS}


def share(value: float, *, n: int = 1_000, half: float = 0.03, enough: bool = True) -> Point:
    return Point(
        at=NOW, value=value, low=max(0.0, value - half), high=value + half, n=n, enough=enough
    )


def trend(totals: dict[tuple[str, ...], Point], *, unit: str = "share") -> Trend:
    return Trend(
        metric="m", unit=unit, better="min", step="day", by=(), hidden=0, marks=(),
        series=tuple(Series(key=key, points=(), total=one) for key, one in totals.items()),
    )  # fmt: skip


def counted(number: int) -> Trend:
    """So many in all, half of them in a step that is not over."""
    one = Point(at=NOW, value=float(number), n=number, enough=True)
    half = Point(at=NOW - timedelta(days=20), value=number / 2, n=number, enough=True)
    series = Series(key=(), points=(half, replace(half, at=floor(NOW, "day"))), total=one)
    return replace(trend({}, unit="traces"), series=(series,))


def laid_out(
    *,
    negative: Point | None = None,
    reasons: tuple[dict[tuple[str, ...], Point], dict[tuple[str, ...], Point]] = ({}, {}),
    slices: dict[str, dict[tuple[str, ...], Point]] | None = None,
    traces: int = 100,
) -> Overview:
    rate = trend({(): negative or share(0.2)})
    measured = Measured(
        negative=Pair(now=rate, before=trend({(): share(0.1)})),
        response=Pair(now=trend({(): share(0.4)}), before=trend({(): share(0.4)})),
        reasons=Pair(now=trend(reasons[0]), before=trend(reasons[1])),
        traces=Pair(now=counted(traces), before=counted(50)),
        feedback=Pair(now=counted(traces), before=counted(0)),
        slices={name: trend(totals) for name, totals in (slices or {}).items()},
        line=rate,
    )
    return overview(measured, read_period("7d", NOW), REASONS)


@pytest.mark.parametrize(
    ("name", "since", "columns"),
    [("7d", datetime(2026, 3, 12, tzinfo=UTC), 7), ("30d", datetime(2026, 2, 17, tzinfo=UTC), 30),
     ("90d", datetime(2025, 12, 22, tzinfo=UTC), 13), ("x", datetime(2026, 2, 17, tzinfo=UTC), 30)],
)  # fmt: skip
def test_period_is_made_of_whole_steps(name: str, since: datetime, columns: int) -> None:
    """It begins at a day's or a week's beginning and holds now."""
    period = read_period(name, NOW)
    assert period.since == since == floor(since, period.step)
    assert len(period.columns) == columns
    assert period.columns[-1] <= NOW < period.end
    begun, ended = period.before
    assert period.since - begun == period.until - ended == timedelta(days=period.days)


def test_reasons_stand_by_share_with_their_change() -> None:
    """The most frequent first; praise is no complaint, and weak shares wait."""
    now: Totals = {("outdated",): share(0.3), ("tone",): share(0.5), ("solved",): share(0.9),
           ("made_up",): share(0.9, n=2, enough=False), ("custom",): share(0.1)}  # fmt: skip
    before: Totals = {("tone",): share(0.2), ("outdated",): share(0.3)}
    rows = laid_out(reasons=(now, before)).reasons
    assert [row.title for row in rows] == ["Unfriendly tone", "Out of date", "custom"]
    assert (rows[0].change.text, rows[0].change.tone, rows[0].change.sure) == (
        "+30 points", "negative", True,
    )  # fmt: skip
    assert (rows[1].change.tone, rows[1].change.sure) == ("neutral", False)
    assert rows[2].change.text == ""
    assert rows[0].href == "/feedback?q=reason%3Atone+since%3A7d"


def test_slices_are_named_when_their_whole_interval_stands_out() -> None:
    """A high rate with a wide interval may be chance; an unknown role is no part of the traffic."""
    role: Totals = {("owner",): share(0.4), ("guest",): share(0.5, half=0.4), ("",): share(0.9),
            ("tax adviser",): share(0.6), ("clerk",): share(0.1)}  # fmt: skip
    shown = laid_out(negative=share(0.2), slices={"role": role})
    assert [(row.about, row.title) for row in shown.slices] == [
        ("Role", "tax adviser"), ("Role", "owner"),
    ]  # fmt: skip
    assert "role%3A%22tax+adviser%22" in shown.slices[0].href
    assert shown.whole == "20%"


def test_figures_say_what_is_missing() -> None:
    """A rate of three answers is not shown as if it were one of thousands."""
    figures = laid_out(negative=share(0.6, n=3, enough=False)).figures
    assert (figures[0].value, figures[0].detail) == ("—", "not enough data yet: n\u00a0=\u00a03")
    assert [figure.change.text for figure in figures] == ["", "0.0 points", "+100%", ""]


def test_change_for_the_better_depends_on_the_metric() -> None:
    """More answers judged is good news, more of them negative is not."""
    up = (share(0.5), share(0.2))
    assert share_change(*up, better="max").tone == "positive"
    assert share_change(*up, better="min").tone == "negative"
    assert share_change(up[0], share(0.2, enough=False), better="min").text == ""
    assert [points(0.031), points(-0.2), points(0.0001)] == ["+3.1", "\u221220", "0.0"]


def test_empty_project_is_told_apart_from_a_quiet_one() -> None:
    """Nothing recorded asks for a first record."""
    assert laid_out(traces=0).empty
    assert not laid_out().empty


def test_line_is_sparse_when_most_steps_say_too_little() -> None:
    """Days that say nothing one by one are shown by the week."""
    strong, weak = share(0.2), share(0.2, n=3, enough=False)
    series = Series(key=(), total=strong, points=(strong, weak, weak))
    assert is_sparse(replace(trend({}), series=(series,)))
    assert not is_sparse(replace(trend({}), series=(replace(series, points=(strong, weak)),)))
    assert not is_sparse(trend({}))
