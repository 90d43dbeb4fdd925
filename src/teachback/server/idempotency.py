"""The header Idempotency-Key: a request sent again gets the first one's answer."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import Invalid, Unavailable
from teachback.server.auth import TOKEN_HEADER, public_caller
from teachback.server.bodies import buffer
from teachback.server.context import context
from teachback.server.problems import Refused
from teachback.store import idempotency

HEADER = "idempotency-key"
MAX_KEY = 255

Handler = Callable[[Request], Awaitable[Response]]


def replayed(handler: Handler) -> Handler:
    """Make a handler honour Idempotency-Key; without the header it is not touched."""

    @functools.wraps(handler)
    async def wrapper(request: Request) -> Response:
        key = request.headers.get(HEADER)
        return await (handler(request) if key is None else _replay(handler, request, key))

    return wrapper


async def _replay(handler: Handler, request: Request, key: str) -> Response:
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise Invalid(
            "Idempotency-Key", value=key, rule=f"a key has 1 to {MAX_KEY} printable characters",
            fix="Send a UUID",
        )  # fmt: skip
    caller = await public_caller(request)
    db = context(request).db
    # Browsers have keys of their own, or they could take a server's, or read its answers.
    key = key if caller.key.kind == "secret" else f"public\n{key}"
    token = request.headers.get(TOKEN_HEADER, "")
    digest = hashlib.sha256(f"{request.method} {request.url.path} {token}\n".encode())
    digest.update(await buffer(request))
    earlier = await idempotency.claim(db, caller.project_id, key, digest.digest())
    if earlier is not None:
        return _answer(bytes(earlier["request_hash"]), digest.digest(), earlier)
    try:
        response = await handler(request)
    except BaseException:
        await idempotency.release(db, caller.project_id, key)
        raise
    if response.status_code >= 400:
        await idempotency.release(db, caller.project_id, key)
    else:
        body = bytes(response.body)
        # The records are stored: whether their answer can be kept too changes nothing of it.
        with contextlib.suppress(Unavailable):
            await idempotency.save_answer(db, caller.project_id, key, response.status_code, body)
    return response


def _answer(kept: bytes, sent: bytes, earlier: dict[str, object]) -> Response:
    if kept != sent:
        raise Refused(
            422, "idempotency_mismatch", "this Idempotency-Key was used for another request: "
            "use a new one",
        )  # fmt: skip
    if earlier["status"] == idempotency.RUNNING:
        raise Refused(409, "conflict", "the first request with this Idempotency-Key still runs")
    return Response(
        bytes(earlier["body"]),  # type: ignore[call-overload]
        status_code=int(str(earlier["status"])),
        media_type="application/json",
        headers={"idempotent-replayed": "true"},
    )
