"""Read feedback, take it back, and talk about annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec
from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from teachback.capture.native import decode_thread_entry
from teachback.errors import Invalid, NotFound
from teachback.model.feedback import Kind, Source
from teachback.record import judge
from teachback.record.trail import get_judgement
from teachback.server import paging
from teachback.server.api.search import Narrowing, Sort, narrowed
from teachback.server.api.views import feedback_view, judgement_view, row_view
from teachback.server.auth import Caller, feedback_caller
from teachback.server.bodies import BROWSER_LIMIT, read_json
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import listing as store
from teachback.store.listing import Filters

Limit = Annotated[int, Query(ge=1, le=200)]
#: A time without an offset means something else on every machine.
Time = AwareDatetime
#: Taken back, in force, or both.
State = Annotated[Literal["true", "false", "any"], BeforeValidator(lambda text: text.lower())]


async def list_feedback(
    request: Request,
    kind: Kind | None = None,
    name: str | None = None,
    source: Source | None = None,
    author: str | None = None,
    trace_id: str | None = None,
    session_id: str | None = None,
    label: str | None = None,
    environment: str | None = None,
    negative: bool | None = None,
    unmatched: bool | None = None,
    withdrawn: State = "false",
    since: Time | None = None,
    until: Time | None = None,
    q: Narrowing = None,
    sort: Sort = "newest",
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Feedback in force, newest first; with a feedback token, one's own on that trace."""
    caller = await feedback_caller(request)
    filters = _own(
        caller,
        Filters(
            kind=kind, name=name, source=source, author=author, trace_id=trace_id,
            session_id=session_id, label=label, negative=negative, unmatched=unmatched,
            since=since, until=until,
            withdrawn=None if withdrawn == "any" else withdrawn == "true",
        ),
    )  # fmt: skip
    rows = await store.list_feedback(
        context(request).db,
        caller.project_id,
        filters,
        narrowed=narrowed(q, "feedback", environment=environment),
        before=paging.decode(cursor),
        oldest=sort == "oldest",
        limit=limit + 1,
    )
    return json_response(
        paging.page(rows, limit, row_view, lambda row: (row["occurred_at"], row["id"]))
    )


async def get_feedback(request: Request, feedback_id: str) -> Response:
    """Return the judgement in force under an id, with history, thread and tracked change."""
    caller = await feedback_caller(request)
    judgement = await get_judgement(context(request).db, caller.project_id, feedback_id)
    _check_own(caller, judgement.feedback.trace_id, judgement.feedback.author)
    return json_response(judgement_view(judgement))


async def withdraw_feedback(request: Request, feedback_id: str) -> Response:
    """Take a judgement back; the record and its history stay."""
    caller = await feedback_caller(request)
    ctx = context(request)
    author = await _author(request)
    if caller.token:
        author = caller.token.user_id or ""
        given = (await get_judgement(ctx.db, caller.project_id, feedback_id)).feedback
        _check_own(caller, given.trace_id, given.author)
    taken = await judge.withdraw(ctx.db, ctx.writer, caller.project_id, feedback_id, author=author)
    return json_response(feedback_view(taken.feedback))


async def post_thread(request: Request, feedback_id: str) -> Response:
    """Append to an annotation's thread."""
    caller = await feedback_caller(request)
    entry = decode_thread_entry((await read_json(request, limit=BROWSER_LIMIT)).raw)
    token = caller.token
    if token and entry.action in ("accept", "reject"):
        raise Invalid(
            "action", value=entry.action, rule="a suggestion is judged by reviewers",
            fix="Reply, resolve or reopen",
        )  # fmt: skip
    kept, outcome = await judge.add_to_thread(
        context(request).db, caller.project_id, feedback_id, action=entry.action,
        author=(token.user_id or "") if token else entry.author, comment=entry.comment,
        entry_id=entry.id, trace_id=token.trace_id if token else None,
    )  # fmt: skip
    status = 201 if outcome == "stored" else 200
    return json_response({"id": kept.id, "status": outcome}, status=status)


class _Withdrawal(msgspec.Struct, forbid_unknown_fields=True):
    author: str | None = None


async def _author(request: Request) -> str | None:
    if request.headers.get("content-length", "0") == "0" and not _is_chunked(request):
        return None
    raw = (await read_json(request, limit=BROWSER_LIMIT)).raw
    try:
        return msgspec.json.decode(raw, type=_Withdrawal).author
    except msgspec.MsgspecError:
        raise Invalid(
            "body", rule="a withdrawal is {} or names its author", fix='Send {"author": "…"}'
        ) from None


def _is_chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


def _own(caller: Caller, filters: Filters) -> Filters:
    if caller.token is None:
        return filters
    return replace(filters, trace_id=caller.token.trace_id, author=caller.token.user_id or "")


def _check_own(caller: Caller, trace_id: str | None, author: str) -> None:
    token = caller.token
    if token and (trace_id != token.trace_id or author != (token.user_id or "")):
        raise NotFound("no feedback of yours has this id")
