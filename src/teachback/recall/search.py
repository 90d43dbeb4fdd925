"""Search: by word and by meaning, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from teachback.core.fuse import fuse
from teachback.model.query import Query
from teachback.model.trace import Trace
from teachback.recall.highlight import highlights
from teachback.store import search as store
from teachback.store import traces
from teachback.store.database import Database
from teachback.store.where import where

#: How many each way of searching puts forward.
CANDIDATES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A trace that fits, and why."""

    trace: Trace
    #: By reciprocal rank: comparable inside one answer only.
    score: float
    #: Place among those found by word, from 1.
    by_words: int | None = None
    #: (start, end) in code points of the words found.
    query_marks: list[tuple[int, int]]
    output_marks: list[tuple[int, int]]


async def search(
    db: Database, project_id: str, query: Query, *, now: datetime, limit: int = CANDIDATES
) -> list[Hit]:
    """Return the traces that fit the words best, among those that meet the conditions."""
    words = " ".join(query.words)
    narrowed = where(replace(query, words=()), "trace", now)
    found = await store.find_by_words(
        db, project_id, words, narrowed=narrowed, limit=max(limit, CANDIDATES)
    )
    order = [one.trace_id for one in found]
    scores = fuse(order)
    stems = await store.stems(db, words)
    shown = await traces.find_traces(db, project_id, list(scores)[:limit])
    return [
        _hit(shown[trace_id], score, order, stems)
        for trace_id, score in scores.items()
        if trace_id in shown
    ]


async def similar(
    db: Database, project_id: str, trace_id: str, *, now: datetime, limit: int = 10
) -> list[Hit]:
    """Return the traces most like this one, itself left out; raises NotFound."""
    trace = await traces.get_trace(db, project_id, trace_id)
    hits = await search(db, project_id, Query(words=(trace.query,)), now=now, limit=limit + 1)
    return [hit for hit in hits if hit.trace.id != trace_id][:limit]


def _hit(trace: Trace, score: float, by_words: Sequence[str], stems: Sequence[str]) -> Hit:
    return Hit(
        trace=trace,
        score=score,
        by_words=_place(trace.id, by_words),
        query_marks=highlights(trace.query, stems),
        output_marks=highlights(trace.output or "", stems),
    )


def _place(trace_id: str, order: Sequence[str]) -> int | None:
    return order.index(trace_id) + 1 if trace_id in order else None
