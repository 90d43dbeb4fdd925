"""Ask what was learned: nearest cases and lessons, what to inject, and all live lessons at once."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from teachback.capture.recall import body_of, decode_inject, decode_recall
from teachback.core.choose import Considered
from teachback.core.compose import into
from teachback.core.decide import Injected
from teachback.model.ids import new_id
from teachback.model.recall import Ask
from teachback.recall.cases import retrieve
from teachback.recall.live import Snapshot
from teachback.server.api.lesson_views import lesson_in_force_view
from teachback.server.api.views import JsonObject, injection_view, plain
from teachback.server.auth import secret_caller
from teachback.server.bodies import read_json
from teachback.server.context import Context, context
from teachback.server.problems import json_response

#: Longest an application waits for a change, in seconds: a server that is told to stop waits for
#: its answers.
MAX_WAIT_S = 5.0
#: Below it packing is not worth it.
PACKED_FROM = 16_384


async def post_recall(request: Request) -> Response:
    """Return the nearest cases and lessons with scores and reasons, or that nothing fits."""
    caller = await secret_caller(request)
    ask, limit = decode_recall((await read_json(request)).raw)
    ctx = context(request)
    _, considered = await ctx.injector.consider(
        caller.project_id, replace(ask, trace_id=ask.trace_id or new_id())
    )
    chosen = [one for one in considered if one.position is not None]
    return json_response({
        "fits": bool(chosen),
        "lessons": [_considered_view(one) for one in considered[: max(limit, len(chosen))]],
        "cases": await _cases(ctx, caller.project_id, ask, limit),
    })  # fmt: skip


async def post_inject(request: Request) -> Response:
    """Return what to add to a request, and the messages with it when they were sent."""
    caller = await secret_caller(request)
    ask, wire = decode_inject((await read_json(request)).raw)
    ask = replace(ask, trace_id=ask.trace_id or new_id())
    done = await context(request).injector.inject(caller.project_id, ask)
    composed = into(body_of(wire), wire.shape, done.text) if body_of(wire) else {}
    return json_response({"trace_id": ask.trace_id} | injected_view(done) | composed)


async def get_live_lessons(
    request: Request, wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0
) -> Response:
    """Return all lessons in force and how to choose among them; waits for a change when told to."""
    caller = await secret_caller(request)
    known = request.headers.get("if-none-match", "").strip('"') or None
    snapshot = await context(request).live.after(caller.project_id, known, wait)
    headers = {"etag": f'"{snapshot.tag}"', "vary": "accept-encoding"}
    if snapshot.tag == known:
        return Response(status_code=304, headers=headers)
    body = await asyncio.to_thread(_encoded, snapshot)
    if len(body) >= PACKED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, 1)
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/json")


def injected_view(done: Injected) -> JsonObject:
    """Show what is added to a request, and what it is made of."""
    return {
        "outcome": done.outcome,
        "text": done.text,
        "injections": [injection_view(injection) for injection in done.injections],
    }


async def _cases(ctx: Context, project_id: str, ask: Ask, limit: int) -> list[JsonObject]:
    if not ask.query.strip():
        return []
    found = await retrieve(
        ctx.db, project_id, ask.query, now=datetime.now(UTC), embedder=ctx.embedder, limit=limit
    )
    return [plain(one.case) | {"score": one.score, "cosine": one.cosine} for one in found]


def _considered_view(one: Considered) -> JsonObject:
    return lesson_in_force_view(one.lesson) | {
        "score": one.match.score,
        "rank": one.match.rank,
        "position": one.position,
        "tokens": one.tokens,
        "reason": one.reason,
    }


def _encoded(snapshot: Snapshot) -> bytes:
    return msgspec.json.encode({
        "salt": snapshot.project_id,
        "rules": snapshot.rules.flat(),
        "lessons": [lesson_in_force_view(lesson) for lesson in snapshot.lessons],
    })  # fmt: skip
