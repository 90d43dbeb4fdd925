"""Read traces, their sessions and the versions they ran with."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from teachback.model.trace import Environment
from teachback.record.trail import get_session_trail, get_trail
from teachback.server import paging
from teachback.server.api.search import Narrowing, Sort, narrowed
from teachback.server.api.views import (
    change_view,
    judgement_view,
    session_view,
    stored_injection_view,
    trace_view,
)
from teachback.server.auth import secret_caller
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import sessions, traces, versions
from teachback.store.database import Database
from teachback.store.traces import Filters

#: A page of whole traces ends with the one that passes this many bytes of text.
WHOLE_PAGE = 8 * 1024 * 1024

Limit = Annotated[int, Query(ge=1, le=200)]
#: A time without an offset means something else on every machine.
Time = AwareDatetime


async def list_traces(
    request: Request,
    trace_id: Annotated[str | None, Query(alias="id")] = None,
    session_id: str | None = None,
    user_id: str | None = None,
    environment: Environment | None = None,
    since: Time | None = None,
    until: Time | None = None,
    q: Narrowing = None,
    sort: Sort = "newest",
    include: Literal["contents"] | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Traces, newest first unless sorted; with `include=contents` also contexts and spans."""
    caller = await secret_caller(request)
    db, project_id = context(request).db, caller.project_id
    filters = Filters(
        trace_id=trace_id, session_id=session_id, user_id=user_id, environment=environment,
        since=since, until=until, narrowed=narrowed(q, "trace"),
    )  # fmt: skip
    before, oldest = paging.decode(cursor), sort == "oldest"
    if include == "contents":
        return await _whole_page(db, project_id, filters, before, oldest=oldest, limit=limit)
    found = await traces.list_traces(
        db, project_id, filters, before=before, oldest=oldest, limit=limit + 1
    )
    return json_response(
        paging.page(found, limit, trace_view, lambda trace: (trace.started_at, trace.id))
    )


async def _whole_page(
    db: Database,
    project_id: str,
    filters: Filters,
    before: paging.Position | None,
    *,
    oldest: bool,
    limit: int,
) -> Response:
    """Answer with whole traces: fewer than `limit` where they are large, and at least one."""
    sizes = await traces.list_sizes(
        db, project_id, filters, before=before, oldest=oldest, limit=limit + 1
    )
    fit = 1 + sum(taken < WHOLE_PAGE for taken in accumulate(one.size for one in sizes))
    shown = sizes[: min(limit, fit)]
    whole = await traces.get_traces(db, project_id, [one.id for one in shown])
    more = paging.encode((shown[-1].started_at, shown[-1].id)) if len(sizes) > len(shown) else None
    return json_response({"data": [trace_view(trace) for trace in whole], "next_cursor": more})


async def get_trace(request: Request, trace_id: str) -> Response:
    """Return the whole trail: trace, context, spans, and feedback with its history."""
    caller = await secret_caller(request)
    trail = await get_trail(context(request).db, caller.project_id, trace_id)
    feedback = [judgement_view(judgement) for judgement in trail.judgements]
    injections = [stored_injection_view(one) for one in trail.injections]
    return json_response(trace_view(trail.trace) | {"feedback": feedback, "injections": injections})


async def list_sessions(
    request: Request,
    user_id: str | None = None,
    environment: Environment | None = None,
    q: Narrowing = None,
    sort: Sort = "newest",
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Sessions by their last turn, newest first unless sorted."""
    caller = await secret_caller(request)
    found = await sessions.list_sessions(
        context(request).db, caller.project_id, user_id=user_id, environment=environment,
        narrowed=narrowed(q, "session"), before=paging.decode(cursor), oldest=sort == "oldest",
        limit=limit + 1,
    )  # fmt: skip
    return json_response(
        paging.page(found, limit, session_view, lambda session: (session.ended_at, session.id))
    )


async def get_session(request: Request, session_id: str) -> Response:
    """Return a session with its turns, and the feedback on them and on itself."""
    caller = await secret_caller(request)
    session, turns, judgements = await get_session_trail(
        context(request).db, caller.project_id, session_id
    )
    value = session_view(session) | {
        "traces": [trace_view(turn) for turn in turns],
        "feedback": [judgement_view(judgement) for judgement in judgements],
    }
    return json_response(value)


async def list_changes(request: Request, limit: Limit = 50, cursor: str | None = None) -> Response:
    """First appearances of prompt, document, model and release versions, newest first."""
    caller = await secret_caller(request)
    found = await versions.list_versions(
        context(request).db, caller.project_id, before=paging.decode(cursor), limit=limit + 1
    )
    return json_response(
        paging.page(found, limit, change_view, lambda row: (row["first_seen_at"], row["id"]))
    )
