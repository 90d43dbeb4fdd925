"""Errors on the wire: one shape, whatever went wrong."""

from __future__ import annotations

import math

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    TeachbackError,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger()

STATUS: dict[type[TeachbackError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Overloaded: 429,
    Unavailable: 503,
}


class Refused(TeachbackError):
    """A request that HTTP itself has a status for."""

    def __init__(self, status: int, type_: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_


def problem(error: TeachbackError) -> dict[str, object]:
    """Return the error as the API says it."""
    body: dict[str, object] = {"type": error.type, "message": error.message}
    if isinstance(error, Invalid):
        body |= {"field": error.field, "value": error.value, "rule": error.rule, "fix": error.fix}
    return body


def status_of(error: TeachbackError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def respond(error: TeachbackError) -> Response:
    """Make the answer to a failed request."""
    headers = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    status = status_of(error)
    if status == 408:  # the rest of the request may still come, and is no request of its own
        headers["connection"] = "close"
    return json_response({"error": problem(error)}, status=status, headers=headers)


def json_response(
    value: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Make a JSON answer."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


async def on_teachback_error(_: Request, error: Exception) -> Response:
    """Answer an error of ours."""
    assert isinstance(error, TeachbackError)
    return respond(error)


_TYPES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large"}


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer an error of the framework in our shape."""
    assert isinstance(error, HTTPException)
    answer = respond(refusal(error))
    answer.headers.update(error.headers or {})
    return answer


def refusal(error: HTTPException) -> Refused:
    """Return an error of the framework as one of ours."""
    return Refused(error.status_code, _TYPES.get(error.status_code, "invalid"), error.detail)


async def on_bug(_request: Request, _error: Exception) -> Response:
    """Answer what nobody foresaw: nothing of it goes out."""
    return respond(bug())


def bug() -> Refused:
    """Return what is said about an error that nobody foresaw."""
    return Refused(500, "internal", "something failed inside; it has been logged")


def log_bug(error: Exception) -> None:
    """Log what nobody foresaw by its class and place: its message may quote what a user wrote."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("bug", error=type(error).__name__, place=place)
