"""Prompts: served to applications, drafted, compared, approved and moved."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from teachback.act import prompts as act
from teachback.act.prompts import Draft
from teachback.capture.native import decode
from teachback.capture.prompts import MergeIn, PromptIn, PromptMoveIn
from teachback.core.diff import tracked_change
from teachback.errors import Invalid
from teachback.model.prompt import LABELS, PromptEvent, PromptVersion
from teachback.server import paging
from teachback.server.api.views import JsonObject, plain
from teachback.server.auth import actor_of, secret_caller
from teachback.server.bodies import read_json
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import prompts as store
from teachback.store.projects import get_rules

Limit = Annotated[int, Query(ge=1, le=200)]


async def list_prompts(request: Request, limit: Limit = 50, cursor: str | None = None) -> Response:
    """Prompts, last changed first."""
    caller = await secret_caller(request)
    found = await store.list_prompts(
        context(request).db, caller.project_id, before=paging.decode(cursor), limit=limit + 1
    )
    return json_response(paging.page(found, limit, plain, lambda one: (one.updated_at, one.name)))


async def post_prompt(request: Request) -> Response:
    """Draft a version; the first one makes the prompt."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    sent = decode((await read_json(request)).raw, PromptIn)
    made = await act.draft(
        context(request).db, caller.project_id, sent.name,
        Draft(text=sent.text, reason=sent.reason, based_on=sent.based_on), by=actor,
    )  # fmt: skip
    return json_response(version_view(made), status=201)


async def get_prompt(request: Request, name: str) -> Response:
    """Return what applications are to use; 304 when they have it."""
    caller = await secret_caller(request)
    db = context(request).db
    served = {
        LABELS[one.state]: one for one in await store.list_served(db, caller.project_id, name)
    }
    rules = await get_rules(db, caller.project_id)
    body = msgspec.json.encode({
        "name": name,
        **{label: {"version": str(one.version), "text": one.text} for label, one in served.items()},
        #: Who is in the canary is decided by hashes, in the application as here.
        "canary_share": rules.canary,
        "salt": caller.project_id,
    })  # fmt: skip
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, media_type="application/json", headers={"etag": tag})


async def list_versions(request: Request, name: str) -> Response:
    """Return all versions of a prompt, newest first."""
    caller = await secret_caller(request)
    found = await store.list_versions(context(request).db, caller.project_id, name)
    return json_response({"data": [version_view(one) for one in found], "next_cursor": None})


async def get_diff(
    request: Request, name: str, old: Annotated[int | None, Query(alias="from")] = None,
    to: int | None = None,
) -> Response:  # fmt: skip
    """Return the tracked change from one version to another."""
    caller = await secret_caller(request)
    db = context(request).db
    await store.list_versions(db, caller.project_id, name)
    if old is None or to is None:
        raise Invalid("from" if old is None else "to", rule="a difference is between two versions",
                      fix="Send ?from=1&to=2")  # fmt: skip
    before, after = [
        await store.get_version(db, caller.project_id, name, number) for number in (old, to)
    ]
    changes = [list(change) for change in tracked_change(before.text, after.text)]
    return json_response({"from": old, "to": to, "changes": changes})


async def post_state(request: Request, name: str, version: str) -> Response:
    """Approve a version, or move it to another state."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    number = _number(version)
    await store.get_version(db, caller.project_id, name, number)
    sent = decode((await read_json(request)).raw, PromptMoveIn)
    after = await act.move(
        db, caller.project_id, name, number, sent.state, by=actor, reason=sent.reason
    )
    return json_response(version_view(after))


async def post_merge(request: Request, name: str) -> Response:
    """Draft the version in production with a lesson's guidance in it."""
    caller = await secret_caller(request)
    actor = await actor_of(request, caller)
    db = context(request).db
    await store.list_versions(db, caller.project_id, name)
    sent = decode((await read_json(request)).raw, MergeIn)
    made = await act.merge(
        db, caller.project_id, name, sent.lesson_id, by=actor, reason=sent.reason
    )
    return json_response(version_view(made), status=201)


async def list_history(request: Request, name: str) -> Response:
    """Return who did what to which version, when and why; newest first."""
    caller = await secret_caller(request)
    db = context(request).db
    await store.list_versions(db, caller.project_id, name)
    events = await store.list_events(db, caller.project_id, name)
    return json_response({"data": [_event_view(one) for one in events], "next_cursor": None})


def version_view(version: PromptVersion) -> JsonObject:
    """Show a version with the label that applications know it by."""
    label = LABELS.get(version.state)
    return plain(version) | ({"label": label} if label else {})


def _event_view(event: PromptEvent) -> JsonObject:
    actor = {"kind": event.actor.kind, "id": event.actor.id, "name": event.actor.name}
    return plain(event) | {"actor": actor}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid("version", value=text, rule="a version is a number from 1",
                      fix="Send the number of one")  # fmt: skip
    return int(text)
