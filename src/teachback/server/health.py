"""Tell whether the process is alive, and whether it is able to work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import TeachbackError, Unavailable
from teachback.server.auth import secret_caller
from teachback.server.context import Context, context
from teachback.server.problems import json_response
from teachback.store.database import check_server
from teachback.store.migrations import find_newer
from teachback.store.vitals import Vitals, read_vitals


async def healthz(_: Request) -> Response:
    """Answer while the process lives; nothing else is asked."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer 200 when everything a request may need is there, else 503 with the reason."""
    reason = await _unready(context(request))
    if reason:
        return json_response({"status": "unready", "reason": reason}, status=503)
    newer = await find_newer(context(request).db)
    return json_response({"status": "ready"} | ({"warning": _NEWER} if newer else {}))


#: The record is only added to, so that replicas can be replaced one after the other.
_NEWER = "the database has a newer schema: this process works on, and is to be replaced"


async def metrics(request: Request) -> Response:
    """Counters for Prometheus; a secret key is needed unless the settings open it."""
    ctx = context(request)
    if not ctx.metrics_public:
        await secret_caller(request)
    ctx.metrics.waiting.set(ctx.writer.waiting)
    ctx.metrics.pool_wait.inc(ctx.db.waited_s())
    ctx.metrics.live_lessons.set(ctx.live.lessons)
    ctx.metrics.injections_lost.inc(ctx.injector.recorder.take_lost())
    ctx.metrics.set_vitals(await _vitals(ctx))
    return Response(ctx.metrics.text(), media_type="text/plain; version=0.0.4")


async def _vitals(ctx: Context) -> Vitals | None:
    try:
        return await read_vitals(ctx.db)
    except Unavailable:  # what the process counts itself is told all the same
        return None


async def _unready(ctx: Context) -> str | None:
    if ctx.stopping:
        return "the process is stopping"
    if not ctx.worker_alive:
        return "the worker has stopped"
    try:
        await check_server(ctx.db)
    except TeachbackError as error:
        return error.message
    return None
