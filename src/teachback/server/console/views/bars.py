"""Horizontal bars with intervals, one per row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachback.model.trend import Point
from teachback.server.console.views import formats
from teachback.server.console.views.axes import nice_top


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A share as a bar, all places in percent of the width."""

    length: float
    low: float
    high: float
    value: str
    interval: str
    n: int
    #: Where the whole lies, to compare with; None when there is no whole.
    whole: float | None


def bars(points: Sequence[Point], whole: Point | None = None) -> tuple[Bar, ...]:
    """Draw shares on one scale, beside the share of the whole where there is one."""
    ends = [point.high or 0.0 for point in points]
    if whole is not None and whole.value is not None:
        ends.append(whole.value)
    top, _ = nice_top(max(ends, default=0.0), most=1.0)
    at = None if whole is None or whole.value is None else 100 * whole.value / top
    return tuple(_bar(point, top, at) for point in points)


def _bar(point: Point, top: float, whole: float | None) -> Bar:
    value, low, high = (part or 0.0 for part in (point.value, point.low, point.high))
    return Bar(
        length=100 * value / top,
        low=100 * low / top,
        high=100 * min(high, top) / top,
        value=formats.share(value),
        interval=formats.interval(low, high, "share"),
        n=point.n,
        whole=whole,
    )
