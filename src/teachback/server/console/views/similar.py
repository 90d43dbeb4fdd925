"""Cases like the one on a trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from teachback.recall.search import Hit
from teachback.server.console.render import path_of
from teachback.server.console.views.formats import excerpt
from teachback.store.database import Row

QUERY_LENGTH, OUTPUT_LENGTH = 200, 220


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarRow:
    """One of them, in two lines."""

    href: str
    query: str
    output: str
    user: str
    started_at: datetime
    feedback: int
    negative: int


def similar_rows(hits: Sequence[Hit], said: Sequence[Row]) -> list[SimilarRow]:
    """Describe cases by what was asked, answered and said."""
    return [_row(hit, [one for one in said if one["trace_id"] == hit.trace.id]) for hit in hits]


def _row(hit: Hit, said: Sequence[Row]) -> SimilarRow:
    trace = hit.trace
    in_force = [one for one in said if not one["withdrawn"]]
    return SimilarRow(
        href=path_of("traces", trace.id),
        query=excerpt(trace.query, QUERY_LENGTH),
        output=excerpt(trace.output or "", OUTPUT_LENGTH),
        user=trace.user_id or "",
        started_at=trace.started_at,
        feedback=len(in_force),
        negative=sum(one["negative"] for one in in_force),
    )
