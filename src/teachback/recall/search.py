"""Search: by word and by meaning, in one order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from teachback.core.fuse import fuse
from teachback.errors import Unavailable
from teachback.llm.embed import BadVectors, Embedder
from teachback.model.query import Query
from teachback.model.trace import Trace
from teachback.recall.embedding import nearest
from teachback.recall.highlight import Highlighter
from teachback.store import search as documents
from teachback.store import traces
from teachback.store.database import Database
from teachback.store.search import Asked
from teachback.store.where import Where, where

#: How many each way of searching puts forward.
CANDIDATES = 50
#: Cosine below which two texts have nothing to do with each other: without it, any words would
#: find something.
RELATED = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A trace that fits, and why."""

    trace: Trace
    #: By reciprocal rank: comparable inside one answer only.
    score: float
    #: Place among those found by word, from 1.
    by_words: int | None = None
    #: Place among those found by meaning, from 1.
    by_meaning: int | None = None
    #: (start, end) in code points of the words found.
    query_marks: list[tuple[int, int]]
    output_marks: list[tuple[int, int]]


async def search(
    db: Database, project_id: str, query: Query, *, now: datetime,
    embedder: Embedder | None = None, limit: int = CANDIDATES, skip: int = 0,
) -> list[Hit]:  # fmt: skip
    """Return the traces that fit the words best, among those that meet the conditions.

    `skip` leaves out the best ones, which an earlier page has shown. Without an embedder, or while
    it cannot be asked, by word alone.
    """
    words = " ".join(query.words)
    narrowed = where(replace(query, words=()), "trace", now)
    (asked, by_words), by_meaning = await asyncio.gather(
        _by_words(db, project_id, words, narrowed, max(limit, CANDIDATES)),
        _by_meaning(db, project_id, words, narrowed, embedder),
    )
    scores = fuse(by_words, by_meaning)
    shown = await traces.find_traces(db, project_id, list(scores)[skip : skip + limit])
    mark = Highlighter(asked.stems)
    return [
        _hit(shown[trace_id], score, by_words, by_meaning, mark)
        for trace_id, score in scores.items()
        if trace_id in shown
    ]


async def similar(
    db: Database, project_id: str, trace_id: str, *, now: datetime,
    embedder: Embedder | None = None, limit: int = 10,
) -> list[Hit]:  # fmt: skip
    """Return the traces most like this one, itself left out; raises NotFound."""
    trace = await traces.get_trace(db, project_id, trace_id)
    hits = await search(
        db, project_id, Query(words=(trace.query,)), now=now, embedder=embedder, limit=limit + 1
    )
    return [hit for hit in hits if hit.trace.id != trace_id][:limit]


async def _by_words(
    db: Database, project_id: str, words: str, narrowed: Where, limit: int
) -> tuple[Asked, list[str]]:
    asked = await documents.ask_words(db, project_id, words)
    found = await documents.find_by_words(db, project_id, asked, narrowed=narrowed, limit=limit)
    return asked, [one.trace_id for one in found]


async def _by_meaning(
    db: Database, project_id: str, words: str, narrowed: Where, embedder: Embedder | None
) -> list[str]:
    """Return traces by nearness in meaning; each may be near by two texts."""
    if embedder is None:
        return []
    try:
        near = await nearest(
            db, project_id, embedder, words, limit=2 * CANDIDATES, narrowed=narrowed
        )
    except (Unavailable, BadVectors):
        return []  # search goes on by word; the worker's log tells what is wrong with the model
    order = dict.fromkeys(one.id for one in near if one.cosine >= RELATED)
    return list(order)[:CANDIDATES]


def _hit(
    trace: Trace, score: float, by_words: Sequence[str], by_meaning: Sequence[str],
    mark: Highlighter,
) -> Hit:  # fmt: skip
    return Hit(
        trace=trace,
        score=score,
        by_words=_place(trace.id, by_words),
        by_meaning=_place(trace.id, by_meaning),
        query_marks=mark(trace.query),
        output_marks=mark(trace.output or ""),
    )


def _place(trace_id: str, order: Sequence[str]) -> int | None:
    return order.index(trace_id) + 1 if trace_id in order else None
