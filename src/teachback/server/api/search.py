"""Find exchanges by word and by meaning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from teachback.core.filters import parse
from teachback.errors import Invalid
from teachback.model.query import Query as Asked
from teachback.model.query import Term
from teachback.recall import search as recall
from teachback.server import paging
from teachback.server.api.views import JsonObject, trace_view
from teachback.server.auth import secret_caller
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store.where import Subject, Where, where

Limit = Annotated[int, Query(ge=1, le=50)]
Words = Annotated[str, Query(alias="q", description="Words and conditions: see the filters page.")]
#: What a list is narrowed to.
Narrowing = Annotated[
    str | None, Query(alias="q", description="Conditions and words: see the filters page.")
]
Sort = Literal["newest", "oldest"]


async def search(
    request: Request, q: Words = "", limit: Limit = 20, cursor: str | None = None
) -> Response:
    """Exchanges with feedback that fit the words best, among those that meet the conditions."""
    caller = await secret_caller(request)
    query = parse(q)
    if not query.words:
        raise Invalid(
            "q", value=q, rule="a search has at least one word beside its conditions",
            fix="Add a word, or list traces with the conditions alone: GET /v1/traces?q=…",
        )  # fmt: skip
    ctx = context(request)
    shown = paging.decode_rank(cursor)
    found = await recall.search(
        ctx.db, caller.project_id, query, now=datetime.now(UTC), embedder=ctx.embedder,
        limit=limit + 1, skip=shown,
    )  # fmt: skip
    more = paging.encode_rank(shown + limit) if len(found) > limit else None
    return json_response({"data": [hit_view(hit) for hit in found[:limit]], "next_cursor": more})


async def list_similar(request: Request, trace_id: str, limit: Limit = 10) -> Response:
    """Exchanges with feedback that are most like this one."""
    caller = await secret_caller(request)
    ctx = context(request)
    found = await recall.similar(
        ctx.db, caller.project_id, trace_id, now=datetime.now(UTC), embedder=ctx.embedder,
        limit=limit,
    )  # fmt: skip
    return json_response({"data": [hit_view(hit) for hit in found], "next_cursor": None})


def narrowed(q: str | None, subject: Subject, *, environment: str | None = None) -> Where:
    """Read the `q` of a list, and the environment where that is a parameter of its own."""
    asked = parse(q) if q else Asked()
    if environment is not None:
        asked = replace(
            asked, terms=(*asked.terms, Term(field="environment", values=(environment,)))
        )
    return where(asked, subject, datetime.now(UTC))


def hit_view(hit: recall.Hit) -> JsonObject:
    """Show a trace with its score and the marks in its texts."""
    return trace_view(hit.trace) | {
        "score": hit.score,
        "by_words": hit.by_words,
        "by_meaning": hit.by_meaning,
        "query_marks": hit.query_marks,
        "output_marks": hit.output_marks,
    }
