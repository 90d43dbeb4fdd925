"""The few routes that carry the load, past everything that they do not need.

FastAPI knows them too, for its description; measured, its layers cost more than storing a record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from teachback.errors import TeachbackError
from teachback.server import problems

Handler = Callable[[Request], Awaitable[Response]]


class HotRoutes:
    """Calls a handler by exact method and path; anything else goes to the application."""

    def __init__(self, app: FastAPI, routes: Mapping[tuple[str, str], Handler]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = None
        if scope["type"] == "http":
            handler = self._routes.get((scope["method"], scope["path"]))
        if handler is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        response = await _answer(handler, Request(scope, receive))
        await response(scope, receive, send)


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except TeachbackError as error:
        return problems.respond(error)
    except Exception as error:  # whatever it is, there is one answer
        problems.log_bug(error)
        return await problems.on_bug(request, error)
