"""Lists of models: those of one upstream as they come, those of several together."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import TeachbackError
from teachback.llm.upstream import Protocol, Upstream, UpstreamFault
from teachback.sdk.answers import get, items
from teachback.server.auth import Caller, model_caller
from teachback.server.context import context
from teachback.server.gateway.about import About
from teachback.server.gateway.call import Call, query_of
from teachback.server.gateway.endpoints import MODELS, Endpoint
from teachback.server.gateway.gateway import Gateway
from teachback.server.gateway.headers import for_upstream
from teachback.server.gateway.passage import MAX_WHOLE_BYTES, Passage, read_to
from teachback.server.gateway.problems import problem
from teachback.server.gateway.upstreams import UnknownModel
from teachback.server.problems import json_response


async def list_models(request: Request) -> Response:
    """List the models that can be asked for, in the protocol of the client that asks."""
    gateway, protocol = context(request).gateway, _protocol(request)
    try:
        caller, secret = await model_caller(request)
        upstreams = gateway.upstreams.of(protocol)
        if not upstreams:
            gateway.upstreams.choose(protocol, "")
        if len(upstreams) == 1:
            path = MODELS[protocol] + query_of(request)
            return _passage(request, caller, secret, upstreams[0], path)
        return json_response(await _together(gateway, protocol, upstreams, request))
    except TeachbackError as error:
        return problem(error, protocol).response()


async def get_model(request: Request, model: str) -> Response:
    """Describe one model."""
    gateway, protocol = context(request).gateway, _protocol(request)
    try:
        caller, secret = await model_caller(request)
        upstream = gateway.upstreams.choose(protocol, model)
    except TeachbackError as error:
        return problem(error, protocol).response()
    path = f"{MODELS[protocol]}/{quote(model, safe='')}{query_of(request)}"
    return _passage(request, caller, secret, upstream, path)


def _protocol(request: Request) -> Protocol:
    """Tell which client asks: the two share an address."""
    headers = request.headers
    return "anthropic" if "anthropic-version" in headers or "x-api-key" in headers else "openai"


def _passage(
    request: Request, caller: Caller, secret: str, upstream: Upstream, path: str
) -> Passage:
    protocol = upstream.protocol
    call = Call(
        caller=caller, secret=secret, endpoint=Endpoint(protocol=protocol, path=path),
        upstream=upstream, method="GET", path=path, headers=request.scope["headers"], body=None,
        members=None, value={}, about=About(),
    )  # fmt: skip
    return Passage(context(request).gateway, call)


async def _together(
    gateway: Gateway, protocol: Protocol, upstreams: list[Upstream], request: Request
) -> dict[str, Any]:
    """Return the models of all upstreams, each where its requests would go."""
    headers = for_upstream(request.scope["headers"], streams=True)
    asked = [_ask(gateway, upstream, MODELS[protocol], headers) for upstream in upstreams]
    answers = await asyncio.gather(*asked)
    if not any(answers):
        raise UpstreamFault("no upstream lists its models", "unreachable")
    models = [
        model
        for upstream, listed in zip(upstreams, answers, strict=True)
        for model in listed
        if _goes_to(gateway, protocol, get(model, "id"), upstream)
    ]
    if protocol == "anthropic":
        return {"data": models, "has_more": False, "first_id": None, "last_id": None}
    return {"object": "list", "data": models}


def _goes_to(gateway: Gateway, protocol: Protocol, model: object, upstream: Upstream) -> bool:
    try:
        return gateway.upstreams.choose(protocol, str(model)) is upstream
    except UnknownModel:
        return False


async def _ask(
    gateway: Gateway, upstream: Upstream, path: str, headers: list[tuple[str, str]]
) -> list[object]:
    """Return the models of one upstream; none when it does not answer."""
    try:
        reply = await gateway.client.send(upstream, "GET", path, headers=headers, body=None)
        try:
            raw = await read_to(reply, MAX_WHOLE_BYTES)
        finally:
            reply.close()
        return items(get(msgspec.json.decode(raw), "data")) if reply.status == 200 else []
    except (UpstreamFault, msgspec.DecodeError, RecursionError):
        return []
