"""A request as it came: who asks, what for, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request

from teachback.capture.json import sanitize
from teachback.errors import Invalid
from teachback.llm.upstream import Upstream
from teachback.server.auth import Caller
from teachback.server.bodies import read_bytes
from teachback.server.gateway import splice
from teachback.server.gateway.about import About, read_about
from teachback.server.gateway.endpoints import Endpoint
from teachback.server.gateway.splice import Members
from teachback.server.gateway.upstreams import Upstreams

#: How long a whole body may take to come, in seconds: images over a slow line.
BODY_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request for a model provider."""

    caller: Caller
    #: The text of the caller's key, which signs feedback tokens.
    secret: str
    endpoint: Endpoint
    upstream: Upstream
    method: str
    #: Below the upstream's address, with the query.
    path: str
    headers: list[tuple[bytes, bytes]]
    #: As it came; None of a request without one.
    body: bytes | None
    #: Its members, undecoded; None when it cannot be put together again exactly.
    members: Members | None
    #: The same, decoded.
    value: dict[str, Any]
    about: About

    @property
    def streams(self) -> bool:
        return self.value.get("stream") is True


async def read_call(
    request: Request, caller: Caller, secret: str, endpoint: Endpoint, upstreams: Upstreams,
    *, limit: int,
) -> Call:  # fmt: skip
    """Read a request with a body; raises Refused, Invalid or UnknownModel."""
    body = await read_bytes(request, limit=limit, within_s=BODY_S)
    members, value = _read(body)
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise Invalid("model", rule="a request names its model", fix="Send the model's name")
    headers = request.scope["headers"]
    return Call(
        caller=caller, secret=secret, endpoint=endpoint,
        upstream=upstreams.choose(endpoint.protocol, model), method="POST",
        path=endpoint.path + query_of(request), headers=headers, body=body, members=members,
        value=value, about=read_about(headers, value),
    )  # fmt: skip


def query_of(request: Request) -> str:
    """Return the query of a request as it goes on, "" when there is none."""
    raw: bytes = request.scope["query_string"]
    return "?" + quote(raw, safe="%=&+-._~!$'()*,;:@/?[]") if raw else ""


def _read(body: bytes) -> tuple[Members | None, dict[str, Any]]:
    try:
        return splice.split(body), _object(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        pass
    # Half a character pair is what some clients cut texts to: providers take it, so do we.
    mended, replaced = sanitize(body)
    if replaced:
        try:
            return None, _object(msgspec.json.decode(mended))
        except (msgspec.DecodeError, RecursionError):
            pass
    raise Invalid("body", rule="a request is a JSON object in UTF-8", fix="Send one")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise msgspec.DecodeError
    return value
