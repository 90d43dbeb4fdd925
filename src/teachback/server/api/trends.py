"""Metrics by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from teachback.core.filters import parse
from teachback.diagnose.trends import trend
from teachback.errors import Invalid
from teachback.model.query import Term
from teachback.model.trend import Step, TrendQuery
from teachback.server.auth import secret_caller
from teachback.server.context import context
from teachback.server.problems import json_response

#: What is shown when nobody says since when.
PERIOD = timedelta(days=30)


async def get_trend(
    request: Request,
    metric: Annotated[str, Query(description="A metric, or score:NAME")] = "negative_rate",
    by: Annotated[str, Query(description="Up to two dimensions, separated by a comma")] = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    step: Step = "day",
    where: Annotated[str, Query(description="Conditions on dimensions")] = "",
) -> Response:
    """Return a metric by time and up to two dimensions, with intervals and versions."""
    caller = await secret_caller(request)
    end = until or datetime.now(UTC)
    found = await trend(
        context(request).db,
        caller.project_id,
        TrendQuery(
            metric=metric,
            by=tuple(one for one in by.split(",") if one),
            since=since or end - PERIOD,
            until=end,
            step=step,
            where=conditions(where),
        ),
    )
    return json_response(found)


def conditions(text: str) -> tuple[Term, ...]:
    """Read what a trend is narrowed to; raises Invalid for words, which it cannot be."""
    query = parse(text)
    if query.words:
        raise Invalid(
            "where", value=query.words[0], rule="a trend is narrowed by conditions, not by words",
            fix="Write field:value",
        )  # fmt: skip
    return query.terms
