"""A model provider on loopback that speaks both protocols, streams included, and can go wrong.

What it does is chosen by the model's name: `plain` answers, anything in `Upstream` below that has
the name of a fault has that fault. It writes HTTP by hand, because its faults are below HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

PIECES = ["Press ", "Export — ", "now."]
ANSWER = "".join(PIECES)
KEY = "sk-upstream-secret"
MODEL = "stub-2"
#: Sent with each answer, and expected to arrive.
HEADERS = {"x-request-id": "req-7", "x-ratelimit-remaining-requests": "41"}


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Upstream:
    """The provider, in a thread of its own."""

    seen: list[Seen] = field(default_factory=list)
    #: Monotonic times at which a stream's reader was found to be gone.
    left: list[float] = field(default_factory=list)
    #: Bytes of `endless` streams that could be sent.
    poured: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What tells a server that it stands behind its gateway."""
        return {
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": KEY,
        }

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                await self._one(reader, writer)
        writer.close()
        self._writers.discard(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(Seen(method, path, headers, raw))
        answer = _Answer(self, path, json.loads(raw) if raw else {}, reader, writer)
        await answer.send()


class _Answer:
    """One answer, right or wrong."""

    def __init__(
        self,
        upstream: Upstream,
        path: str,
        asked: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._upstream, self._path, self._asked = upstream, path, asked
        self._reader, self._writer = reader, writer
        self._fault = str(asked.get("model", "plain")).removeprefix("claude-")

    async def send(self) -> None:
        fault = getattr(self, f"_{self._fault.partition(':')[0]}", None)
        if fault is not None:
            await fault()
        elif self._path.startswith(("/v1/models", "/models")):
            await self._whole(_models(self._path))
        elif self._asked.get("stream"):
            await self._stream(self._events())
        else:
            await self._whole(self._answer())

    def _answer(self) -> dict[str, Any]:
        if self._path.endswith("/count_tokens"):
            return {"input_tokens": 14}
        if self._path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            return {"object": "list", "data": [vector], "model": MODEL, "usage": usage}
        makers = {"messages": _message, "responses": _response}
        return makers.get(self._path.partition("?")[0].rpartition("/")[2], _completion)(self._tool)

    @property
    def _tool(self) -> bool:
        return bool(self._asked.get("tools"))

    def _events(self) -> list[bytes]:
        kind = self._path.partition("?")[0].rpartition("/")[2]
        if kind == "messages":
            return [_named(event) for event in _message_events(self._tool)]
        if kind == "responses":
            return [_named(event) for event in _response_events(self._tool)]
        usage = (self._asked.get("stream_options") or {}).get("include_usage")
        chunks = _chunks(tool=self._tool, usage=bool(usage))
        return [b"data: " + _json(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    async def _begin(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Whatever"]
        lines += [f"{name}: {value}" for name, value in {**HEADERS, **headers}.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()

    async def _whole(self, body: Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else _json(body)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"content-type": "application/json", "content-length": str(len(raw))}
        await self._begin(status, kind | given)
        self._writer.write(raw)
        await self._writer.drain()

    async def _open(self, **headers: str) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        await self._begin(200, kind | given)

    async def _chunk(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    async def _stream(self, events: list[bytes], **headers: str) -> None:
        await self._open(**headers)
        for event in events:
            await self._chunk(event)
            await asyncio.sleep(0.001)
        self._writer.write(b"0\r\n\r\n")

    # The faults, by the name of the model that has them.

    async def _dies(self) -> None:
        """The connection is cut inside an event, or inside a body."""
        if not self._asked.get("stream"):
            await self._begin(200, {"content-type": "application/json", "content-length": "9000"})
            self._writer.write(b'{"id": "half')
        else:
            await self._open()
            first, second, third = self._events()[:3]
            await self._chunk(first + second + third[:20])
        await self._writer.drain()
        await asyncio.sleep(0.05)
        self._writer.transport.abort()

    async def _ends(self) -> None:
        """The stream is closed in good order, but before its end."""
        await self._stream(self._events()[:3])

    async def _stalls(self) -> None:
        """Silence inside the answer."""
        await self._open()
        for event in self._events()[:3]:
            await self._chunk(event)
        await asyncio.sleep(60)

    async def _silent(self) -> None:
        """No answer at all."""
        await self._watch(60)

    async def _closes(self) -> None:
        self._writer.transport.abort()

    async def _garbage(self) -> None:
        self._writer.write(b"this is not HTTP\r\n\r\n")
        self._writer.close()

    async def _malformed(self) -> None:
        """An event that is no JSON, a comment, and one without data, among good ones."""
        strange = [b"data: {not json\n\n", b": ping\n\n", b"event: odd\n\n", b"data: [1]\n\n"]
        events = self._events()
        await self._stream([*events[:2], *strange, *events[2:]])

    async def _bytewise(self) -> None:
        """CR LF, comments, and every byte in a chunk of its own."""
        whole = b": hello\r\n\r\n" + b"".join(self._events()).replace(b"\n", b"\r\n")
        await self._open()
        for place in range(len(whole)):
            await self._chunk(whole[place : place + 1])
        self._writer.write(b"0\r\n\r\n")

    async def _html(self) -> None:
        await self._whole(b"<html>busy</html>", content_type="text/html")

    async def _zipped(self) -> None:
        """Compressed, whether or not anybody asked for it."""
        if self._asked.get("stream"):
            packed = gzip.compress(b"".join(self._events()))
            await self._stream([packed[:40], packed[40:]], content_encoding="gzip")
        else:
            await self._whole(gzip.compress(_json(self._answer())), content_encoding="gzip")

    async def _status(self) -> None:
        """The status in the model's name, as `status:429`."""
        status = int(self._fault.partition(":")[2])
        said = {"message": f"no, {status}", "type": "stub_error", "param": None, "code": None}
        await self._whole(
            {"type": "error", "error": said}, status, retry_after_ms="20", x_should_retry="false"
        )

    async def _unauthorized(self) -> None:
        said = {"message": f"Incorrect API key provided: {KEY[:6]}…", "type": "x"}
        await self._whole({"error": said}, 401)

    async def _redirects(self) -> None:
        await self._whole({}, 307, location=f"{self._upstream.url}/elsewhere")

    async def _simple(self) -> None:
        """A compatible server that refuses `stream_options`."""
        if "stream_options" in self._asked:
            said = {"message": "Unknown parameter: stream_options", "type": "invalid"}
            await self._whole({"error": said}, 400)
        else:
            await self._stream(self._events())

    async def _long(self) -> None:
        message = {"role": "assistant", "content": "x" * 9_000_000}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        await self._whole(_completion(tool=False) | {"choices": [choice]})

    async def _endless(self) -> None:
        """A stream that goes on until its reader leaves."""
        await self._open()
        delta = {"index": 0, "delta": {"content": "more " * 100}}
        event = b"data: " + _json(_about("chat.completion.chunk") | {"choices": [delta]}) + b"\n\n"
        if self._path.endswith("/messages"):
            delta = {"type": "text_delta", "text": "more " * 100}
            event = _named({"type": "content_block_delta", "index": 0, "delta": delta})
            await self._chunk(b"".join(self._events()[:2]))
        with self._noted():
            while True:
                await self._chunk(event)
                self._upstream.poured += len(event)
                await asyncio.sleep(0.0005)

    async def _flood(self) -> None:
        """As much as the reader takes."""
        await self._open()
        delta = {"index": 0, "delta": {"content": "more " * 13_000}}
        event = b"data: " + _json(_about("chat.completion.chunk") | {"choices": [delta]}) + b"\n\n"
        with self._noted():
            while True:
                await self._chunk(event)
                self._upstream.poured += len(event)

    async def _watch(self, seconds: float) -> None:
        with self._noted():
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if self._reader.at_eof():
                    raise ConnectionResetError
                await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            self._upstream.left.append(time.monotonic())
            raise


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _named(event: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), _json(event))


def _about(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": MODEL, "future": {"x": 1e3}}


def _completion(tool: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER, "refusal": None}
    if tool:
        call = {"name": "search", "arguments": '{"q": "export"}'}
        calls = [{"id": "c-1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    reason = "tool_calls" if tool else "stop"
    choice = {"index": 0, "finish_reason": reason, "message": message, "logprobs": None}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return _about("chat.completion") | {"choices": [choice], "usage": usage}


def _chunks(*, tool: bool, usage: bool) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in PIECES]
    if tool:
        first = {"index": 0, "id": "c-1", "type": "function"}
        parts = [{"name": "search", "arguments": ""}, {"arguments": '{"q": '},
                 {"arguments": '"export"}'}]  # fmt: skip
        deltas = [{"tool_calls": [first | {"function": part}]} for part in parts]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls" if tool else "stop"})
    made = [_about("chat.completion.chunk") | {"choices": [choice]} for choice in choices]
    if usage:
        used = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        made.append(_about("chat.completion.chunk") | {"choices": [], "usage": used})
    return made


def _response(tool: bool) -> dict[str, Any]:
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    item: dict[str, Any] = {"type": "message", "id": "m", "role": "assistant",
                            "status": "completed", "content": [text]}  # fmt: skip
    if tool:
        item = {"type": "function_call", "id": "f", "call_id": "c-1", "name": "search",
                "arguments": '{"q": "export"}', "status": "completed"}  # fmt: skip
    usage = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14,
             "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    return {
        "id": "resp-1", "object": "response", "created_at": 1, "model": MODEL, "tools": [],
        "output": [item], "usage": usage, "status": "completed", "error": None,
        "parallel_tool_calls": False, "tool_choice": "auto", "instructions": None,
    }  # fmt: skip


def _response_events(tool: bool) -> list[dict[str, Any]]:
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    begun = _response(tool) | {"status": "in_progress", "output": [], "usage": None}
    made: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    if not tool:
        made += [{"type": "response.output_text.delta", "delta": p} | place for p in PIECES]
    made.append({"type": "response.completed", "response": _response(tool)})
    return [event | {"sequence_number": number} for number, event in enumerate(made)]


def _message(tool: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": ANSWER, "citations": None}
    if tool:
        block = {"type": "tool_use", "id": "t-1", "name": "search", "input": {"q": "export"}}
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4,
             "output_tokens": 3}  # fmt: skip
    return {
        "id": "msg-1", "type": "message", "role": "assistant", "model": MODEL, "usage": usage,
        "content": [block], "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
    }  # fmt: skip


def _message_events(tool: bool) -> list[dict[str, Any]]:
    whole = _message(tool)
    begun = whole | {"content": [], "stop_reason": None}
    begun["usage"] = whole["usage"] | {"output_tokens": 1}
    block: dict[str, Any] = {"type": "text", "text": ""}
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": piece} for piece in PIECES]
    if tool:
        block = whole["content"][0] | {"input": {}}
        parts = ("", '{"q": ', '"export"}')
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *[{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


def _models(path: str) -> dict[str, Any]:
    model = {"id": MODEL, "object": "model", "created": 1, "owned_by": "stub", "type": "model",
             "display_name": "Stub", "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    name = path.partition("?")[0].partition("/models/")[2]
    if name:
        return model | {"id": name}
    return {"object": "list", "data": [model], "has_more": False, "first_id": MODEL,
            "last_id": MODEL}  # fmt: skip
