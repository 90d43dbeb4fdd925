"""A model provider that answers at once: what a gateway is measured against.

A process of its own: `python -m teachback.bench.provider` prints its port. A stream tells in each
chunk when it was written, on the clock that all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import httptools
import uvloop

#: Chunks of a stream, and the time between two of them, in seconds.
CHUNKS, EVERY_S = 50, 0.002
_ANSWER = "You find it under Reports: choose the month, then press Export, and send the file. " * 4
_ABOUT = {"id": "chatcmpl-1", "created": 1, "model": "bench-1"}


def _whole() -> bytes:
    message = {"role": "assistant", "content": _ANSWER}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 210, "completion_tokens": 80, "total_tokens": 290}
    body = json.dumps(_ABOUT | {"object": "chat.completion", "choices": [choice], "usage": usage})
    return (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-1\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


WHOLE = _whole()
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def chunk(content: str, *, last: bool = False) -> bytes:
    """Return one event of a stream, in its HTTP chunk."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": "stop" if last else None}
    body = json.dumps(_ABOUT | {"object": "chat.completion.chunk", "choices": [choice]})
    return framed(b"data: " + body.encode() + b"\n\n")


def framed(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._written = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        streams = b'"stream":true' in self._body
        self._body.clear()
        self._parser = httptools.HttpRequestParser(self)
        if not streams:
            self._transport.write(WHOLE)
            return
        self._written = 0
        self._transport.write(HEAD)
        self._next()

    def _next(self) -> None:
        if self._transport.is_closing():
            return
        self._written += 1
        last = self._written == CHUNKS
        self._transport.write(chunk(f" {time.perf_counter_ns()}", last=last))
        if last:
            self._transport.write(framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        else:
            asyncio.get_running_loop().call_later(EVERY_S, self._next)


async def serve() -> None:
    """Answer until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
