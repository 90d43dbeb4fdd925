"""Errors in the shape that the client of each protocol reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
from starlette.responses import Response

from teachback.errors import TeachbackError, Unauthenticated, Unavailable
from teachback.llm.upstream import Protocol, UpstreamFault
from teachback.server.problems import status_of

_OPENAI_TYPES = {403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """An error as it is said to one client."""

    status: int
    body: dict[str, object]
    headers: dict[str, str]

    def response(self) -> Response:
        """Make the answer to a request that has none yet."""
        raw = msgspec.json.encode(self.body)
        return Response(raw, self.status, self.headers, media_type="application/json")

    def event(self, protocol: Protocol) -> bytes:
        """Make the event that ends a stream."""
        name = b"event: error\n" if protocol == "anthropic" else b""
        return name + b"data: " + msgspec.json.encode(self.body) + b"\n\n"


def problem(error: TeachbackError, protocol: Protocol) -> Problem:
    """Say an error in the words of a protocol."""
    status = error.status if isinstance(error, UpstreamFault) else status_of(error)
    body = _anthropic(error, status) if protocol == "anthropic" else _openai(error, status)
    return Problem(status=status, body=body, headers=_headers(error))


def _openai(error: TeachbackError, status: int) -> dict[str, object]:
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    said = {"message": error.message, "type": kind, "param": None, "code": error.type}
    return {"error": said}


def _anthropic(error: TeachbackError, status: int) -> dict[str, object]:
    other = "api_error" if status >= 500 else "invalid_request_error"
    kind = _ANTHROPIC_TYPES.get(status, other)
    return {"type": "error", "error": {"type": kind, "message": error.message}}


def _headers(error: TeachbackError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, UpstreamFault) and error.may_retry is not None:
        headers["x-should-retry"] = "true" if error.may_retry else "false"
    return headers
