"""The addresses that providers' own clients ask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import TeachbackError
from teachback.server.auth import model_caller
from teachback.server.context import context
from teachback.server.gateway.call import read_call
from teachback.server.gateway.endpoints import (
    CHAT,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Endpoint,
)
from teachback.server.gateway.passage import Passage
from teachback.server.gateway.problems import problem


async def post_chat(request: Request) -> Response:
    """OpenAI's chat completions."""
    return await _take(request, CHAT)


async def post_responses(request: Request) -> Response:
    """OpenAI's responses."""
    return await _take(request, RESPONSES)


async def post_embeddings(request: Request) -> Response:
    """OpenAI's embeddings; they pass unrecorded."""
    return await _take(request, EMBEDDINGS)


async def post_messages(request: Request) -> Response:
    """Anthropic's messages."""
    return await _take(request, MESSAGES)


async def post_count_tokens(request: Request) -> Response:
    """Count the tokens of a request to Anthropic's messages; it passes unrecorded."""
    return await _take(request, COUNT_TOKENS)


async def _take(request: Request, endpoint: Endpoint) -> Response:
    gateway = context(request).gateway
    try:
        caller, secret = await model_caller(request)
        call = await read_call(
            request, caller, secret, endpoint, gateway.upstreams, limit=gateway.body_limit
        )
    except TeachbackError as error:
        gateway.metrics.gateway_calls.labels("refused").inc()
        return problem(error, endpoint.protocol).response()
    return Passage(gateway, call)
