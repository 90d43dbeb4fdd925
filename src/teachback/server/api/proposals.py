"""Drafts from feedback, what is behind a lesson, and what it would have done."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from teachback.act.evidence import Evidence, list_evidence
from teachback.act.preview import Preview, preview
from teachback.act.proposals import propose, propose_all
from teachback.capture.native import In, decode
from teachback.errors import NotFound
from teachback.server.api.lesson_views import lesson_view
from teachback.server.api.views import JsonObject, feedback_view
from teachback.server.auth import actor_of, secret_caller
from teachback.server.bodies import read_json
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import lessons as store


async def post_proposals(request: Request, feedback_id: str) -> Response:
    """Draft what follows from a feedback; proposing again returns the same drafts."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    ctx = context(request)
    sent = decode((await read_json(request)).raw, ProposalsIn)
    project = await ctx.project(caller.project_id)
    drafted = await propose(
        ctx.db, project.id, feedback_id, project.reasons, by=actor, confirmed=sent.confirmed,
        chat=ctx.chat,
    )  # fmt: skip
    return json_response({"data": [lesson_view(one) for one in drafted], "next_cursor": None})


async def post_trace_proposals(request: Request, trace_id: str) -> Response:
    """Draft what follows from all that was said about a trace."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    ctx = context(request)
    sent = decode((await read_json(request)).raw, ProposalsIn)
    project = await ctx.project(caller.project_id)
    drafted = await propose_all(
        ctx.db, project.id, trace_id, project.reasons, by=actor, confirmed=sent.confirmed,
        chat=ctx.chat,
    )  # fmt: skip
    return json_response({"data": [lesson_view(one) for one in drafted], "next_cursor": None})


async def get_evidence(request: Request, lesson_id: str) -> Response:
    """Return the feedback that a lesson was learned from."""
    caller = await secret_caller(request)
    db = context(request).db
    lesson = await store.get_lesson(db, caller.project_id, lesson_id)
    found = await list_evidence(db, caller.project_id, lesson.provenance)
    return json_response({"data": [_evidence_view(one) for one in found], "next_cursor": None})


async def get_preview(request: Request, lesson_id: str, version: int | None = None) -> Response:
    """Return what a lesson would have done, by its latest or by this version."""
    caller = await secret_caller(request)
    ctx = context(request)
    lesson = await store.get_lesson(ctx.db, caller.project_id, lesson_id)
    wanted = version or lesson.pending or lesson.version
    versions = await store.list_versions(ctx.db, caller.project_id, lesson_id)
    wording = next((one for one in versions if one.version == wanted), None)
    if wording is None:
        raise NotFound(f"lesson {lesson_id!a} has no version {wanted}")
    snapshot = await ctx.live.get(caller.project_id)
    seen = await preview(
        ctx.db, lesson, wording, rules=snapshot.rules, gate=snapshot.gate, embedder=ctx.embedder
    )
    return json_response(_preview_view(seen) | {"version": wanted})


class ProposalsIn(In):
    #: A member says that they have checked the correction.
    confirmed: bool = False


def _evidence_view(one: Evidence) -> JsonObject:
    return {"feedback": feedback_view(one.feedback), "query": one.query, "output": one.output}


def _preview_view(seen: Preview) -> JsonObject:
    touched = [
        {"trace_id": one.trace.id, "query": one.trace.query, "started_at": one.trace.started_at,
         "score": one.score, "given": one.given}
        for one in seen.touched
    ]  # fmt: skip
    return {
        "touched": touched,
        "block": seen.block,
        "trace_id": seen.trace_id,
        "prompt": seen.prompt,
    }
