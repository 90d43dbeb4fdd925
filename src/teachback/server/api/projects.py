"""Projects, their keys, and what the widget reads."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import Invalid
from teachback.model.project import Metric, Project, Reason
from teachback.record.access import make_key, make_project
from teachback.server.api.views import key_view, project_view
from teachback.server.auth import public_caller, secret_caller
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.store import keys, projects


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReasonBody(_Body):
    label: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    title: str = Field(min_length=1, max_length=200)
    polarity: Literal["negative", "positive"] = "negative"
    guidance: str | None = Field(None, max_length=1_000)


class MetricBody(_Body):
    name: str = Field(min_length=1, max_length=64)
    optimize: Literal["max", "min"]
    description: str = Field("", max_length=500)


class ProjectBody(_Body):
    name: str = Field(min_length=1, max_length=100)


class RecallBody(_Body):
    """What is left out stays; null is the default again."""

    lessons: int | None = Field(None, ge=0, le=5)
    examples: int | None = Field(None, ge=0, le=5)
    max_tokens: int | None = Field(None, ge=100, le=8_000)
    holdout: float | None = Field(None, ge=0, le=0.5)
    propensity: float | None = Field(None, ge=0.5, le=1)
    bound: float | None = Field(None, ge=0.001, le=0.2)
    canary: float | None = Field(None, ge=0, le=1)
    intro: str | None = Field(None, min_length=1, max_length=2_000)
    guidance: str | None = Field(None, min_length=1, max_length=200)
    fact: str | None = Field(None, min_length=1, max_length=200)
    template: str | None = Field(None, min_length=1, max_length=200)
    example: str | None = Field(None, min_length=1, max_length=200)
    answer: str | None = Field(None, min_length=1, max_length=200)


class ProjectChange(_Body):
    name: str | None = Field(None, min_length=1, max_length=100)
    reasons: list[ReasonBody] | None = Field(None, min_length=1, max_length=50)
    metrics: list[MetricBody] | None = Field(None, max_length=200)
    keep_days: int | None = Field(None, ge=0, le=36_500, strict=True)
    recall: RecallBody | None = None


class KeyBody(_Body):
    kind: Literal["secret", "public"]
    name: str = Field(min_length=1, max_length=100)


async def list_projects(request: Request) -> Response:
    """List the project of this key."""
    project = await _project(request)
    return json_response({"data": [project_view(project)], "next_cursor": None})


async def post_project(request: Request, body: ProjectBody) -> Response:
    """Make a project, with its first secret key; it has the owners of the caller's project."""
    caller = await secret_caller(request)
    ctx = context(request)
    project = await make_project(ctx.db, body.name)
    await projects.copy_owners(ctx.db, caller.project_id, project.id)
    new = await make_key(ctx.db, ctx.pepper, project.id, kind="secret", name="first")
    value = project_view(project) | {"key": key_view(new.key) | {"secret": new.secret}}
    return json_response(value, status=201)


async def get_project(request: Request) -> Response:
    """Return the project of this key, with its reasons and metrics."""
    return json_response(project_view(await _project(request)))


async def patch_project(request: Request, body: ProjectChange) -> Response:
    """Change name, reasons, metrics, or how lessons are chosen and given."""
    caller = await secret_caller(request)
    if body.recall is not None:
        changes = body.recall.model_dump(exclude_unset=True)
        await projects.change_rules(context(request).db, caller.project_id, changes)
    changed = await projects.change_project(
        context(request).db,
        caller.project_id,
        name=body.name,
        reasons=_reasons(body),
        metrics=_metrics(body),
        keep_days=body.keep_days,
    )
    context(request).forget_project(changed.id)
    return json_response(project_view(changed))


async def list_keys(request: Request) -> Response:
    """All keys of the project, revoked ones too; their secrets are not kept."""
    caller = await secret_caller(request)
    found = await keys.list_keys(context(request).db, caller.project_id)
    return json_response({"data": [key_view(key) for key in found], "next_cursor": None})


async def post_key(request: Request, body: KeyBody) -> Response:
    """Make a key; its secret is in this answer and nowhere else."""
    caller = await secret_caller(request)
    ctx = context(request)
    new = await make_key(ctx.db, ctx.pepper, caller.project_id, kind=body.kind, name=body.name)
    return json_response(key_view(new.key) | {"secret": new.secret}, status=201)


async def delete_key(request: Request, key_id: str) -> Response:
    """Revoke a key; every replica refuses it within seconds."""
    caller = await secret_caller(request)
    await keys.revoke_key(context(request).db, caller.project_id, key_id)
    context(request).forget_key(key_id)
    return Response(status_code=204)


async def get_widget(request: Request) -> Response:
    """Return what a page's widget needs to ask for feedback."""
    caller = await public_caller(request)
    project = await context(request).project(caller.project_id)
    reasons = [
        {"label": reason.label, "title": reason.title, "polarity": reason.polarity}
        for reason in project.reasons
    ]
    return json_response({"project": project.name, "reasons": reasons})


async def _project(request: Request) -> Project:
    caller = await secret_caller(request)
    return await context(request).project(caller.project_id)


def _reasons(body: ProjectChange) -> tuple[Reason, ...] | None:
    if body.reasons is None:
        return None
    reasons = tuple(Reason(**reason.model_dump()) for reason in body.reasons)
    labels = [reason.label for reason in reasons]
    for label in labels:
        if labels.count(label) > 1:
            raise Invalid("reasons", value=label, rule="a label stands in the list only once",
                          fix="Merge the two reasons")  # fmt: skip
    return reasons


def _metrics(body: ProjectChange) -> tuple[Metric, ...] | None:
    if body.metrics is None:
        return None
    return tuple(Metric(**metric.model_dump()) for metric in body.metrics)
