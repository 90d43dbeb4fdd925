"""The overview: the first page after the sign-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from starlette.responses import Response

from teachback.diagnose.trends import trends
from teachback.model.trend import Trend, TrendQuery
from teachback.server.console.render import page
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.overview import DIMENSIONS, Measured, Pair, is_sparse, overview
from teachback.server.console.views.periods import Period, read_period
from teachback.server.console.views.snippets import first_feedback
from teachback.server.console.visit import Visit

#: A line of two weeks says less than dots of some days.
MIN_DAYS_FOR_WEEKS = 20


async def show(visit: Visit) -> Response:
    """Show what hurts most, for whom and since when, in the period of the address."""
    period = read_period(visit.request.query_params.get("period"), datetime.now(UTC))
    measured = await _measure(visit, period)
    return page(
        visit.request, "overview.html", visit=visit,
        overview=overview(measured, period, reasons_by_label(visit.project.reasons)),
        snippet=first_feedback(visit.context.public_url),
    )  # fmt: skip


async def _measure(visit: Visit, period: Period) -> Measured:
    """Ask for everything at once: most of it is in the same cells."""
    paired = {
        "negative": _query(period, "negative_rate"),
        "response": _query(period, "response_rate"),
        "reasons": _query(period, "reason_share", "reason"),
        "traces": _query(period, "traces"),
        "feedback": _query(period, "feedback"),
    }
    since, until = period.before
    before = [replace(query, since=since, until=until) for query in paired.values()]
    slices = [_query(period, "negative_rate", name) for name in DIMENSIONS]
    found = await _ask(visit, [*paired.values(), *before, *slices])
    size = len(paired)
    pairs = {name: Pair(now=found[n], before=found[size + n]) for n, name in enumerate(paired)}
    line = pairs["negative"].now
    if is_sparse(line) and period.days > MIN_DAYS_FOR_WEEKS:
        (line,) = await _ask(visit, [replace(_query(period, "negative_rate"), step="week")])
    return Measured(
        **pairs, line=line, slices=dict(zip(DIMENSIONS, found[2 * size :], strict=True))
    )


def _query(period: Period, metric: str, *by: str) -> TrendQuery:
    return TrendQuery(
        metric=metric, by=by, since=period.since, until=period.until, step=period.step
    )


async def _ask(visit: Visit, queries: Sequence[TrendQuery]) -> list[Trend]:
    return await trends(visit.db, visit.project.id, queries)
