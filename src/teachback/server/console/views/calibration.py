"""The calibration curve: what each share of answers costs in wrong ones, and where the gate is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from teachback.recall.calibration import Calibrated
from teachback.server.console.views import formats
from teachback.server.console.views.axes import Tick, nice_top, value_ticks
from teachback.server.console.views.charts import BOX, HEIGHT, Chart, Dot, Drawn, Hit, TableRow
from teachback.stats.abstention import Step, loosest, needed

#: Bounds to choose from.
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1)
#: The chart reaches this many times as high as the bound: beyond, nobody would go.
HIGHEST = 3.0
#: Places of the curve that can be pointed at, and lines of the table.
PLACES = 20
_EMPTY = Drawn(name="", number=0, lines=(), guesses=(), bands=(), dots=(), columns=())


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundChoice:
    """A bound, and what it would do."""

    value: str
    title: str
    chosen: bool
    #: Share of queries that would be given something; empty while the gate would be shut.
    answered: str
    wrong: str
    #: Held-out queries that are missing until the gate can open.
    missing: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationView:
    """What the page shows."""

    is_open: bool
    made_at: datetime | None
    queries: int
    #: Queries that the bound takes at least, without a wrong one.
    needed: int
    #: Of them there are so many, in percent.
    progress: int
    bound: str
    answered: str
    seen: str
    upper: str
    chart: Chart | None
    choices: tuple[BoundChoice, ...]


def calibration_view(found: Calibrated | None, bound: float) -> CalibrationView:
    """Lay out a calibration; there is none before lessons are in force."""
    queries = found.stored.queries if found else 0
    step = found.step if found else None
    least = needed(bound)
    return CalibrationView(
        is_open=step is not None,
        made_at=found.stored.made_at if found else None,
        queries=queries,
        needed=least,
        progress=min(100, queries * 100 // least),
        bound=formats.share(bound),
        answered=formats.share(step.answered / queries) if step else "",
        seen=formats.share(step.wrong / queries) if step else "",
        upper=formats.share(step.upper) if step else "",
        chart=_chart(found, bound) if found and queries >= least else None,
        choices=tuple(_choices(found, bound)),
    )


def _choices(found: Calibrated | None, bound: float) -> Iterator[BoundChoice]:
    queries = found.stored.queries if found else 0
    for value in sorted({*BOUNDS, bound}):
        step = loosest(found.curve, value) if found else None
        yield BoundChoice(
            value=str(value),
            title=formats.share(value),
            chosen=value == bound,
            answered=formats.share(step.answered / queries) if step else "",
            wrong=f"{step.wrong} of {formats.count(queries)}" if step else "",
            missing=max(0, needed(value) - queries),
        )


@dataclass(frozen=True, slots=True)
class _Plane:
    """Share of answers across, share of wrong ones up."""

    queries: int
    widest: float
    top: float

    def x(self, answered: float) -> float:
        return min(answered / self.queries / self.widest, 1.0) * 100

    def y(self, share: float) -> float:
        return round(HEIGHT * (1 - min(share, self.top) / self.top), 2)

    def at(self, answered: float, share: float) -> str:
        return f"{self.x(answered) * BOX / 100:.1f} {self.y(share):.1f}"


def _chart(found: Calibrated, bound: float) -> Chart:
    queries = found.stored.queries
    top, step = nice_top(bound * HIGHEST, most=1.0)
    shown = _shown(found.curve, top)
    widest, across = nice_top(shown[-1].answered / queries, most=1.0)
    plane = _Plane(queries, widest, top)
    rows = _sampled(shown)
    stands = found.step
    dot = Dot(x=plane.x(stands.answered), y=plane.y(stands.upper), hollow=False) if stands else None
    lines = [
        replace(
            _EMPTY, name="Wrong at most, with 95% certainty", number=1,
            lines=(_path(plane, shown, upper=True),), bands=(_band(plane, shown),),
            dots=(dot,) if dot else (),
        ),
        replace(
            _EMPTY, name="Wrong among those held out", number=2,
            lines=(_path(plane, shown, upper=False),),
        ),
        replace(
            _EMPTY, name=f"Bound of {formats.share(bound)}", number=3,
            guesses=(f"M0 {plane.y(bound):.1f}L{BOX} {plane.y(bound):.1f}",),
        ),
    ]  # fmt: skip
    return Chart(
        id="curve", title="Wrong answers by share of queries answered",
        summary=_summary(found, queries), height=HEIGHT, series=tuple(lines),
        values=value_ticks(top, step, "share"), dates=_ticks(widest, across),
        flags=(), hits=tuple(_hits(plane, rows)), rows=tuple(_row(one, queries) for one in rows),
        note="", empty=False, href="",
    )  # fmt: skip


def _shown(curve: Sequence[Step], top: float) -> list[Step]:
    """Return one step for each number of answers, up to the first that leaves the chart."""
    last = {step.answered: step for step in curve}
    steps = list(last.values())
    out = next((at for at, step in enumerate(steps) if step.upper > top), len(steps) - 1)
    return steps[: out + 1]


def _path(plane: _Plane, steps: Sequence[Step], *, upper: bool) -> str:
    return "M" + "L".join(
        plane.at(step.answered, step.upper if upper else step.wrong / plane.queries)
        for step in steps
    )


def _band(plane: _Plane, steps: Sequence[Step]) -> str:
    above = [plane.at(step.answered, step.upper) for step in steps]
    below = [plane.at(step.answered, step.wrong / plane.queries) for step in reversed(steps)]
    return "M" + "L".join(above + below) + "Z"


def _sampled(steps: Sequence[Step]) -> list[Step]:
    """Return steps about evenly apart in what they answer."""
    answers = [step.answered for step in steps]
    wanted = [answers[-1] * place / PLACES for place in range(1, PLACES + 1)]
    places = sorted({min(bisect_left(answers, one), len(steps) - 1) for one in wanted})
    return [steps[at] for at in places]


def _hits(plane: _Plane, rows: Sequence[Step]) -> Iterator[Hit]:
    middles = [plane.x(one.answered) for one in rows]
    edges = [
        0.0, *((one + other) / 2 for one, other in pairwise(middles)), 100.0,
    ]  # fmt: skip
    for at, one in enumerate(rows):
        row = _row(one, plane.queries)
        said = (f"{row.at} answered", f"Wrong: {row.cells[0]}", f"At most: {row.cells[1]}")
        yield Hit(x=edges[at], width=edges[at + 1] - edges[at], middle=middles[at], lines=said)


def _row(step: Step, queries: int) -> TableRow:
    seen = f"{formats.share(step.wrong / queries)} ({step.wrong} of {formats.count(queries)})"
    return TableRow(
        at=formats.share(step.answered / queries), cells=(seen, formats.share(step.upper))
    )


def _ticks(widest: float, step: float) -> tuple[Tick, ...]:
    count = math.floor(widest / step + 1e-6)
    return tuple(
        Tick(at=place * step / widest * 100, text=formats.percent(place * step))
        for place in range(count + 1)
    )


def _summary(found: Calibrated, queries: int) -> str:
    if found.step is None:
        return "The gate is shut."
    return (
        f"The gate answers {formats.share(found.step.answered / queries)} of queries; "
        f"at most {formats.share(found.step.upper)} of all are wrong."
    )
