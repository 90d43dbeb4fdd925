"""Read request bodies written by strangers: limited in size, unpacked in bounded memory."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass

from starlette.requests import Request

from teachback.capture.json import sanitize
from teachback.server.problems import Refused

MIB = 1024 * 1024
#: Largest body of the API, and of a browser with a public key.
API_LIMIT = 10 * MIB
BROWSER_LIMIT = 64 * 1024
#: How long a whole body may take to come, in seconds: ten mebibytes over a line of 5 Mbit/s. A
#: body that never comes would otherwise hold its connection for ever.
BODY_S = 20.0


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body that PostgreSQL can hold."""

    raw: bytes
    #: Something in it was replaced by U+FFFD.
    sanitized: bool


async def read_json(request: Request, *, limit: int = API_LIMIT) -> Body:
    """Return the body of a JSON request; raises Refused with 413 or 415."""
    return Body(*sanitize(await read_bytes(request, limit=limit)))


async def read_bytes(request: Request, *, limit: int, within_s: float | None = None) -> bytes:
    """Return the unpacked body of a JSON request as it is; raises Refused as `read_json`."""
    _check_type(request.headers.get("content-type", ""))
    body = await _read(request, limit, within_s or BODY_S)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        body = _unpack(body, encoding, limit)
    return body.removeprefix(b"\xef\xbb\xbf")


async def buffer(request: Request) -> bytes:
    """Read the body, no further than the limit, and keep it for whoever reads it next."""
    request._body = await _read(request, API_LIMIT, BODY_S)
    return request._body


def _check_type(content_type: str) -> None:
    kind, _, parameters = content_type.partition(";")
    charset = parameters.lower().replace('"', "").partition("charset=")[2].strip()
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Refused(
            415, "unsupported_media_type",
            "the body must be application/json in UTF-8: set the header Content-Type",
        )  # fmt: skip


async def _read(request: Request, limit: int, within_s: float) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(within_s):
            return await _read_to(request, limit)
    except TimeoutError:
        raise too_slow(within_s) from None


async def _read_to(request: Request, limit: int) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise _too_large(limit)
    return bytes(chunks)


def too_slow(within_s: float) -> Refused:
    """Make the error for a body that does not come."""
    return Refused(
        408, "timeout", f"the body took more than {within_s:g} seconds to come: send it again"
    )


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    windows = {"gzip": 31, "x-gzip": 31, "deflate": 15}
    if encoding not in windows:
        raise Refused(
            415, "unsupported_media_type",
            "the body's Content-Encoding must be gzip, deflate or identity",
        )  # fmt: skip
    unpacker = zlib.decompressobj(windows[encoding])
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, "invalid", f"the body is not valid {encoding}") from error
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise Refused(400, "invalid", f"the {encoding} body is cut off")
    return unpacked


def _too_large(limit: int) -> Refused:
    return Refused(
        413, "too_large", f"the body is over {limit:,} bytes: send fewer or smaller records"
    )
