"""The application: routes, lifespan, and what happens when something fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from teachback.capture.lessons import SHAPES as LESSON_SHAPES
from teachback.capture.native import FeedbackIn, ThreadEntryIn, TraceIn
from teachback.capture.prompts import SHAPES as PROMPT_SHAPES
from teachback.capture.recall import InjectIn, RecallIn
from teachback.errors import Invalid, TeachbackError
from teachback.llm.chat import Chat
from teachback.llm.embed import Embedder
from teachback.recall.calibration import Gates
from teachback.recall.inject import Injector
from teachback.recall.live import Live
from teachback.record.writer import Writer
from teachback.server import problems
from teachback.server.api import routes
from teachback.server.bodies import MIB
from teachback.server.console import routes as console
from teachback.server.context import Context
from teachback.server.gateway.gateway import Gateway, GatewayOptions
from teachback.server.hot import HotRoutes
from teachback.server.metrics import Metrics
from teachback.server.middleware import Bounded, Edge
from teachback.store.database import Database

#: Largest body where no records are written: forms, and settings of a project.
SMALL_BODY = MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command line hands to the application."""

    dsn: str
    pepper: bytes
    public_url: str
    #: The database past a pooler, to listen there; the same when absent.
    direct_dsn: str | None = None
    #: What prints a new sign-in link.
    login_command: str = "teachback login"
    connections: int = 8
    pooler: bool = False
    #: Runs beside the requests until it is cancelled: the worker of `serve`.
    background: Callable[[Database], Awaitable[None]] | None = None
    #: Makes vectors of what is searched for; None searches by word alone.
    embedder: Embedder | None = None
    #: Words drafts of lessons; None words them by templates alone.
    chat: Chat | None = None
    #: Further applications by their path, such as the demo's.
    mounts: dict[str, ASGIApp] = field(default_factory=dict)
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    metrics_public: bool = False
    #: Runs last, after everything has been stored: stops the embedded server.
    on_stopped: Callable[[], None] | None = None


def make_app(options: Options) -> ASGIApp:
    """Return the application; it opens the database when it starts."""
    return Edge(HotRoutes(_make_fastapi(options), routes.HOT))


def _make_fastapi(options: Options) -> FastAPI:
    app = FastAPI(
        title="Teachback",
        description="Teach your LLM application from its users.",
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _lifespan(app, options),
    )
    app.add_middleware(Bounded, limit=SMALL_BODY)
    app.include_router(routes.router())
    console.include(app)
    for path, mounted in options.mounts.items():
        app.mount(path, mounted)
    app.add_exception_handler(TeachbackError, problems.on_teachback_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI, options: Options) -> AsyncIterator[None]:
    db = Database(options.dsn, max_size=options.connections, pooler=options.pooler)
    await db.open()
    writer = Writer(db)
    await writer.start()
    gates = Gates(db, options.embedder.model if options.embedder else None)
    live = Live(db, options.embedder, dsn=options.direct_dsn or options.dsn, gates=gates)
    gates.on_ready = live.refresh
    metrics = Metrics()
    injector = Injector(db, live, options.embedder, on_done=metrics.injected)
    gateway = Gateway(options.gateway, writer, injector, metrics)
    await live.start()
    await injector.start()
    await gateway.start()
    ctx = Context(
        db=db, writer=writer, live=live, injector=injector, gateway=gateway,
        pepper=options.pepper, public_url=options.public_url, login_command=options.login_command,
        embedder=options.embedder, metrics=metrics, metrics_public=options.metrics_public,
        chat=options.chat,
    )  # fmt: skip
    app.state.context = ctx
    background = _start(options, db, ctx)
    try:
        yield
    finally:
        ctx.stopping = True
        await gateway.stop()
        await _stop(background)
        await live.stop()
        await injector.stop()
        await writer.stop()
        await db.close()
        if options.on_stopped:
            options.on_stopped()


def _start(options: Options, db: Database, ctx: Context) -> asyncio.Future[None] | None:
    if options.background is None:
        return None
    task = asyncio.ensure_future(options.background(db))
    task.add_done_callback(lambda _: setattr(ctx, "worker_alive", False))
    return task


async def _stop(task: asyncio.Future[None] | None) -> None:
    if task:
        task.cancel()
        # Whatever became of it, the records that wait are stored next.
        await asyncio.gather(task, return_exceptions=True)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail = error.errors()[0]
    # The first step of the place says where it stood: query, path or body.
    field = ".".join(str(step) for step in detail["loc"][1:]) or "body"
    value = detail.get("input")
    shown = value if isinstance(value, str | int | float | bool) else None
    return problems.respond(
        Invalid(field, value=shown, rule=str(detail["msg"]), fix="Correct it and send it again")
    )


_SHAPES = (RecallIn, InjectIn, *LESSON_SHAPES, *PROMPT_SHAPES)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return FastAPI's description with the shapes that msgspec decodes."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        components = schema.setdefault("components", {})
        _, shapes = msgspec.json.schema_components(
            [TraceIn, FeedbackIn, ThreadEntryIn, *_SHAPES],
            ref_template="#/components/schemas/{name}",
        )
        components.setdefault("schemas", {}).update(shapes)
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = schema
    return app.openapi_schema
