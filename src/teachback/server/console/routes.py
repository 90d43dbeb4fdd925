"""The console's whole route table."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from teachback.errors import NotFound, TeachbackError
from teachback.server.console.pages import (
    calibration,
    feedback,
    keys,
    lessons,
    login,
    overview,
    prompts,
    sessions,
    tags,
    traces,
    trends,
    views,
)
from teachback.server.console.render import error_page
from teachback.server.console.visit import see_other, signed_in
from teachback.server.problems import bug, on_bug, on_http_error, refusal


def include(app: FastAPI) -> None:
    """Add the pages to the application, and a page for what goes wrong on the way to them."""
    app.router.routes.extend(table())
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


def table() -> list[BaseRoute]:
    """Return every address of the console."""
    get, post = ["GET"], ["POST"]
    return [
        Route("/", _home, methods=get),
        Route("/login", login.show, methods=get),
        Route("/login", login.sign_in, methods=post),
        Route("/login/{token}", login.show_link, methods=get),
        Route("/login/{token}", login.use_link, methods=post),
        Route("/logout", login.sign_out, methods=post),
        Route("/theme", login.choose_theme, methods=post),
        Route("/overview", signed_in(overview.show), methods=get),
        Route("/feedback", signed_in(feedback.show), methods=get),
        Route("/feedback/tags", signed_in(tags.change), methods=post),
        Route("/sessions", signed_in(sessions.show_list), methods=get),
        Route("/sessions/{id:path}", signed_in(sessions.show), methods=get),
        Route("/traces/{id:path}", signed_in(traces.show), methods=get),
        Route("/lessons", signed_in(lessons.show_list), methods=get),
        Route("/lessons", signed_in(lessons.make), methods=post),
        Route("/lessons/new", signed_in(lessons.show_new), methods=get),
        Route("/lessons/propose", signed_in(lessons.propose), methods=post),
        Route("/lessons/switch", signed_in(lessons.switch), methods=post),
        Route("/lessons/{id}", signed_in(lessons.show), methods=get),
        Route("/lessons/{id}/edit", signed_in(lessons.edit), methods=post),
        Route("/lessons/{id}/act", signed_in(lessons.act), methods=post),
        Route("/prompts", signed_in(prompts.show_list), methods=get),
        Route("/prompts", signed_in(prompts.make), methods=post),
        Route("/prompts/merge", signed_in(prompts.merge), methods=post),
        Route("/prompts/{id}", signed_in(prompts.show), methods=get),
        Route("/prompts/{id}/act", signed_in(prompts.act), methods=post),
        Route("/trends", signed_in(trends.show), methods=get),
        Route("/recall", signed_in(calibration.show), methods=get),
        Route("/recall/bound", signed_in(calibration.change), methods=post),
        Route("/views", signed_in(views.make), methods=post),
        Route("/views/{id}/delete", signed_in(views.delete), methods=post),
        Route("/settings/keys", signed_in(keys.show), methods=get),
        Route("/settings/keys", signed_in(keys.make), methods=post),
        Route("/settings/keys/{id}/revoke", signed_in(keys.revoke), methods=post),
        Mount("/static", _Static(directory=str(files(__package__).joinpath("static")))),
    ]


class _Static(StaticFiles):
    """Our own files: asked for again by their tag, so that an upgrade is seen at once."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response: Response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


async def _home(_: Request) -> Response:
    return see_other("/overview")


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer people with a page and programs with JSON."""
    assert isinstance(error, HTTPException)
    if not _is_read_by_people(request):
        return await on_http_error(request, error)
    problem: TeachbackError = refusal(error)
    if error.status_code == 404:
        problem = NotFound("No page has this address.")
    answer = error_page(request, problem)
    answer.headers.update(error.headers or {})
    return answer


async def _on_bug(request: Request, error: Exception) -> Response:
    if not _is_read_by_people(request):
        return await on_bug(request, error)
    return error_page(request, bug())


def _is_read_by_people(request: Request) -> bool:
    is_api = request.url.path.startswith("/v1/")
    return not is_api and "text/html" in request.headers.get("accept", "")
