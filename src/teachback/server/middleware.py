"""What every answer carries, and which requests of browsers are refused."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teachback.server import bodies
from teachback.server.problems import Refused, log_bug, respond

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
#: Paths that pages of other origins may call, with a public key and never with cookies.
OPEN_PATHS = ("/v1/feedback", "/v1/widget")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Edge:
    """Adds security headers, answers CORS, and refuses forms that other sites send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_api = scope["path"].startswith("/v1/")
        is_open = is_api and scope["path"].startswith(OPEN_PATHS)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, is_api=is_api, is_open=is_open)
            await send(message)

        if is_open and scope["method"] == "OPTIONS":
            await _preflight(answer)
        elif _forged(scope, headers):
            refused = Refused(403, "forbidden", "this form came from another site")
            await respond(refused)(scope, receive, answer)
        else:
            await self._answered(scope, receive, answer)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # The framework has answered and raises again for the server to log, with the error's
            # message; that may quote what a user wrote, so it ends here.
            log_bug(error)


class Bounded:
    """Stops reading a body at a limit of size and of time, whoever reads it."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """Take `limit` in bytes."""
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, complete = 0, False
        until = asyncio.get_running_loop().time() + bodies.BODY_S

        async def bounded() -> Message:
            nonlocal size, complete
            try:
                async with asyncio.timeout_at(None if complete else until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, bodies.too_slow(bodies.BODY_S).message) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > self._limit:
                raise HTTPException(413, f"the body is over {self._limit:,} bytes: send less")
            return message

        await self._app(scope, bounded if scope["type"] == "http" else receive, send)


def _add_headers(message: Message, *, is_api: bool, is_open: bool) -> None:
    if is_api:  # JSON needs no policy for pages, and these routes are the hot ones
        message["headers"] = [*message["headers"], *(_OPEN_HEADERS if is_open else _API_HEADERS)]
        return
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY.items():
        headers.setdefault(name, value)


#: Answers hold what people wrote, and now and then a new key.
_API_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
_OPEN_HEADERS = [*_API_HEADERS, (b"access-control-allow-origin", b"*")]


def _forged(scope: Scope, headers: Headers) -> bool:
    """Recognise a state-changing request from another site that rides on our cookie.

    API calls carry a key in a header, which a foreign form cannot set.
    """
    if scope["method"] in SAFE_METHODS or "authorization" in headers or "x-api-key" in headers:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


async def _preflight(send: Send) -> None:
    headers = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, content-type, teachback-token"),
        (b"access-control-max-age", b"86400"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
