"""Lessons: draft, read, edit, approve, move, supersede, kill."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from teachback.act import curate
from teachback.act.curate import Wording
from teachback.capture.lessons import (
    LessonChangeIn,
    LessonIn,
    MoveIn,
    ReasonIn,
    SupersedeIn,
    SwitchIn,
    decode_lesson,
)
from teachback.capture.native import decode
from teachback.errors import Invalid
from teachback.model.lesson import Lesson, LessonKind, LessonState, LessonVersion
from teachback.server import paging
from teachback.server.api.lesson_views import event_view, lesson_view, like_view, version_view
from teachback.server.auth import actor_of, secret_caller
from teachback.server.bodies import read_json
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import lessons as store
from teachback.store.lessons import LessonFilters

Limit = Annotated[int, Query(ge=1, le=200)]


async def list_lessons(
    request: Request,
    state: LessonState | None = None,
    kind: LessonKind | None = None,
    feedback_id: Annotated[list[str] | None, Query()] = None,
    waiting: bool | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Lessons, last changed first."""
    caller = await secret_caller(request)
    feedback = None if feedback_id is None else tuple(feedback_id)
    found = await store.list_lessons(
        context(request).db,
        caller.project_id,
        LessonFilters(state=state, kind=kind, feedback_ids=feedback, waiting=waiting),
        before=paging.decode(cursor),
        limit=limit + 1,
    )
    return json_response(
        paging.page(found, limit, lesson_view, lambda one: (one.updated_at, one.id))
    )


async def post_lesson(request: Request) -> Response:
    """Draft a lesson; the answer names those that say something about the same situation."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    sent = decode_lesson((await read_json(request)).raw)
    db = context(request).db
    lesson = await curate.draft(
        db, caller.project_id, sent.kind, _wording(sent), by=actor, lesson_id=sent.id
    )
    return json_response(await _with_like(request, lesson), status=201)


async def get_lesson(request: Request, lesson_id: str) -> Response:
    """Return a lesson with all its wordings."""
    caller = await secret_caller(request)
    db = context(request).db
    lesson = await store.get_lesson(db, caller.project_id, lesson_id)
    versions = await store.list_versions(db, caller.project_id, lesson_id)
    return json_response(
        await _with_like(request, lesson) | {"versions": [version_view(one) for one in versions]}
    )


async def patch_lesson(request: Request, lesson_id: str) -> Response:
    """Write a new version of what is sent; what was approved stays in force until it is, too."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    await store.get_lesson(db, caller.project_id, lesson_id)
    sent = decode((await read_json(request)).raw, LessonChangeIn)
    lesson = await curate.edit(
        db, caller.project_id, lesson_id, lambda latest: _changed(latest, sent), by=actor
    )
    return json_response(await _with_like(request, lesson))


async def post_state(request: Request, lesson_id: str) -> Response:
    """Approve the version that was read, or move the lesson to another state."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    ctx = context(request)
    lesson = await store.get_lesson(ctx.db, caller.project_id, lesson_id)
    sent = decode((await read_json(request)).raw, MoveIn)
    if sent.state == "draft":
        raise Invalid("state", value="draft", rule="nothing becomes a draft again",
                      fix="Edit the lesson: that makes a new draft")  # fmt: skip
    if sent.state == "approved" and (not lesson.is_in_force or sent.version is not None):
        moved = await curate.approve(
            ctx.db, caller.project_id, lesson_id, _version_read(sent), by=actor,
            reason=sent.reason, despite=sent.despite, embedder=ctx.embedder,
        )  # fmt: skip
    else:
        moved = await curate.move(
            ctx.db, caller.project_id, lesson_id, sent.state, by=actor, reason=sent.reason,
            despite=sent.despite, embedder=ctx.embedder,
        )  # fmt: skip
    return json_response(lesson_view(moved))


async def post_decline(request: Request, lesson_id: str) -> Response:
    """Drop the version that waits for approval."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    await store.get_lesson(db, caller.project_id, lesson_id)
    sent = decode((await read_json(request)).raw, ReasonIn)
    after = await curate.decline(db, caller.project_id, lesson_id, by=actor, reason=sent.reason)
    return json_response(lesson_view(after))


async def post_supersede(request: Request, lesson_id: str) -> Response:
    """Name the lesson that takes this one's place."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    await store.get_lesson(db, caller.project_id, lesson_id)
    sent = decode((await read_json(request)).raw, SupersedeIn)
    after = await curate.supersede(
        db, caller.project_id, lesson_id, sent.by, by=actor, reason=sent.reason
    )
    return json_response(lesson_view(after))


async def post_kill(request: Request, lesson_id: str) -> Response:
    """Set a lesson's kill switch, or take it back."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    await store.get_lesson(db, caller.project_id, lesson_id)
    sent = decode((await read_json(request)).raw, SwitchIn)
    after = await curate.kill(
        db, caller.project_id, lesson_id, off=sent.off, by=actor, reason=sent.reason
    )
    return json_response(lesson_view(after))


async def list_history(request: Request, lesson_id: str) -> Response:
    """Return who did what to a lesson, when and why; newest first."""
    caller = await secret_caller(request)
    db = context(request).db
    await store.get_lesson(db, caller.project_id, lesson_id)
    events = await store.list_events(db, caller.project_id, lesson_id)
    return json_response({"data": [event_view(one) for one in events], "next_cursor": None})


async def get_switch(request: Request) -> Response:
    """Tell whether the project's lessons are off, and who switched them."""
    caller = await secret_caller(request)
    return json_response(await _switch(request, caller.project_id))


async def put_switch(request: Request) -> Response:
    """Switch all lessons of the project off, or on again."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    sent = decode((await read_json(request)).raw, SwitchIn)
    await curate.switch(
        context(request).db, caller.project_id, off=sent.off, by=actor, reason=sent.reason
    )
    return json_response(await _switch(request, caller.project_id))


async def _switch(request: Request, project_id: str) -> dict[str, object]:
    db = context(request).db
    events = await store.list_events(db, project_id, None)
    return {
        "off": await store.find_switch(db, project_id),
        "history": [event_view(one) for one in events],
    }


async def _with_like(request: Request, lesson: Lesson) -> dict[str, object]:
    ctx = context(request)
    found = await curate.like(ctx.db, lesson, ctx.embedder)
    return lesson_view(lesson) | {"like": [like_view(one) for one in found]}


def _version_read(sent: MoveIn) -> int:
    if sent.version is None:
        raise Invalid("version", rule="one approves the version that one has read",
                      fix="Send its number")  # fmt: skip
    return sent.version


def _wording(sent: LessonIn) -> Wording:
    return Wording(
        situation=sent.situation, text=sent.text or sent.situation, answer=sent.answer,
        scope=sent.scope.scope(), priority=sent.priority, expires_at=sent.expires_at,
        provenance=sent.provenance, reason=sent.reason,
    )  # fmt: skip


def _changed(latest: LessonVersion, sent: LessonChangeIn) -> Wording:
    scope = latest.scope if sent.scope is UNSET else sent.scope.scope()
    return Wording(
        situation=latest.situation if sent.situation is UNSET else sent.situation,
        text=latest.text if sent.text is UNSET else sent.text,
        answer=latest.answer if sent.answer is UNSET else sent.answer,
        scope=scope,
        priority=latest.priority if sent.priority is UNSET else sent.priority,
        expires_at=latest.expires_at if sent.expires_at is UNSET else sent.expires_at,
        provenance=latest.provenance if sent.provenance is UNSET else sent.provenance,
        reason=sent.reason,
    )
