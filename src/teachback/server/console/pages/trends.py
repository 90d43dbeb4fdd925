"""Trends: any metric over time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from starlette.responses import Response

from teachback.diagnose.trends import trend
from teachback.errors import Invalid
from teachback.model.query import Query
from teachback.model.trend import Trend, TrendQuery
from teachback.server.console.pages.views import saved_of
from teachback.server.console.render import page
from teachback.server.console.views import formats
from teachback.server.console.views.filterbox import field_help, read_box
from teachback.server.console.views.periods import read_period
from teachback.server.console.views.trends import (
    DIMENSIONS,
    Asked,
    metrics_of,
    read_trend,
    trends_view,
)
from teachback.server.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the metric that the address names, by the dimensions that it names."""
    given = visit.request.query_params
    metrics = metrics_of(visit.project)
    asked = read_trend(given, read_period(given.get("period"), datetime.now(UTC)), metrics)
    box, query = read_box(asked.text)
    found = None
    try:
        if query is not None:
            found = await _measure(visit, asked, query)
    except Invalid as error:
        box = replace(box, error=formats.sentence(f"{error.rule}. {error.fix}"))
    titles = {reason.label: reason.title for reason in visit.project.reasons}
    view = trends_view(asked, found, titles, metrics)
    return page(
        visit.request, "trends.html", visit=visit, status=400 if box.error else 200,
        trends=view, box=box, fields=field_help(tuple(DIMENSIONS)),
        saved=await saved_of(visit, "trends", view.query),
    )  # fmt: skip


async def _measure(visit: Visit, asked: Asked, query: Query) -> Trend:
    """Ask for the trend; raises Invalid when it cannot be narrowed so."""
    if query.words:
        raise Invalid(
            "query", rule="trends are narrowed by conditions, not by words",
            fix="Leave the words out; the feedback behind a trend can be searched",
        )  # fmt: skip
    period = asked.period
    return await trend(
        visit.db, visit.project.id,
        TrendQuery(
            metric=asked.metric, by=asked.by, since=period.since, until=period.until,
            step=asked.step, where=query.terms,
        ),
    )  # fmt: skip
