"""How the recall gate was calibrated, and what another bound would do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from teachback.core.gate import to_json
from teachback.recall.calibration import Calibrated, find_calibrated
from teachback.server.api.views import JsonObject
from teachback.server.auth import secret_caller
from teachback.server.context import context
from teachback.server.problems import json_response
from teachback.stats.abstention import Step, needed
from teachback.store import projects


async def get_calibration(request: Request) -> Response:
    """Return the project's gate with its curve; without a calibration it is shut."""
    caller = await secret_caller(request)
    ctx = context(request)
    rules = await projects.get_rules(ctx.db, caller.project_id)
    model = ctx.embedder.model if ctx.embedder else None
    found = await find_calibrated(ctx.db, caller.project_id, model, rules) if model else None
    return json_response({"bound": rules.bound, "model": model} | _view(found, rules.bound))


def _view(found: Calibrated | None, bound: float) -> JsonObject:
    """Show the gate and each step of its curve at which something changes."""
    queries = found.stored.queries if found else 0
    step = found.step if found else None
    return {
        "made_at": found.stored.made_at if found else None,
        "queries": queries,
        "missing": max(0, needed(bound) - queries),
        "is_open": step is not None,
        "step": _step(step) if step else None,
        "gate": to_json(found.gate) if found else None,
        "curve": [_step(one) for one in changes(found.curve)] if found else [],
    }


def changes(curve: tuple[Step, ...]) -> list[Step]:
    """Return the strictest of the steps that do the same, strict first."""
    first: dict[tuple[int, int], Step] = {}
    for step in curve:
        first.setdefault((step.answered, step.wrong), step)
    return list(first.values())


def _step(step: Step) -> JsonObject:
    return {
        "threshold": step.threshold, "answered": step.answered, "wrong": step.wrong,
        "upper": step.upper,
    }  # fmt: skip
