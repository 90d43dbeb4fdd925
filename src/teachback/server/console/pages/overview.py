"""The overview: the first page after the sign-in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from starlette.responses import Response

from teachback.diagnose.trends import trend
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
    negative, response, reasons, traces, feedback = await asyncio.gather(
        _pair(visit, period, "negative_rate"),
        _pair(visit, period, "response_rate"),
        _pair(visit, period, "reason_share", "reason"),
        _pair(visit, period, "traces"),
        _pair(visit, period, "feedback"),
    )
    slices = await asyncio.gather(
        *(_ask(visit, _query(period, "negative_rate", name)) for name in DIMENSIONS)
    )
    line = negative.now
    if is_sparse(line) and period.days > MIN_DAYS_FOR_WEEKS:
        line = await _ask(visit, replace(_query(period, "negative_rate"), step="week"))
    return Measured(
        negative=negative, response=response, reasons=reasons, traces=traces, feedback=feedback,
        line=line, slices=dict(zip(DIMENSIONS, slices, strict=True)),
    )  # fmt: skip


async def _pair(visit: Visit, period: Period, metric: str, *by: str) -> Pair:
    query = _query(period, metric, *by)
    since, until = period.before
    now, before = await asyncio.gather(
        _ask(visit, query), _ask(visit, replace(query, since=since, until=until))
    )
    return Pair(now=now, before=before)


def _query(period: Period, metric: str, *by: str) -> TrendQuery:
    return TrendQuery(
        metric=metric, by=by, since=period.since, until=period.until, step=period.step
    )


async def _ask(visit: Visit, query: TrendQuery) -> Trend:
    return await trend(visit.db, visit.project.id, query)
