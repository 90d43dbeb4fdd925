"""A trend: a metric by time, in up to two dimensions, with its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from teachback.model.query import Term

Step = Literal["hour", "day", "week"]
Dimension = Literal["model", "prompt", "environment", "role", "surface", "locale", "release"]
Better = Literal["max", "min"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrendQuery:
    """What is asked for."""

    #: A name of METRICS in `diagnose/trends.py`, or `score:NAME` for the mean score of any name.
    metric: str
    #: At most two dimensions; `reason` too, for the metric reason_share.
    by: tuple[str, ...] = ()
    since: datetime
    until: datetime
    step: Step = "day"
    #: Conditions on dimensions.
    where: tuple[Term, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One step of time, or all of them together."""

    #: Begin of the step, UTC.
    at: datetime
    #: None when nothing was observed.
    value: float | None
    #: 95 % bounds; None for plain counts.
    low: float | None = None
    high: float | None = None
    #: Observations behind the value.
    n: int
    #: False says "not enough data yet".
    enough: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line of a chart."""

    #: Values of the dimensions asked for, in their order; empty where a trace says nothing.
    key: tuple[str, ...]
    #: The whole time as one point.
    total: Point
    #: Steps in order; those without observations are left out.
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """The first appearance of a version, to be drawn beside a trend."""

    at: datetime
    kind: str
    name: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """The answer; series with most observations first."""

    metric: str
    unit: str
    better: Better | None
    step: Step
    by: tuple[str, ...]
    series: tuple[Series, ...]
    #: Series there are beyond those shown.
    hidden: int
    marks: tuple[Mark, ...]
