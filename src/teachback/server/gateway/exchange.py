"""One call while it passes: what was asked, what comes back, and the trace it leaves."""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from teachback.capture.json import sanitize
from teachback.llm.upstream import Upstream
from teachback.model.ids import new_id
from teachback.model.recall import Injection
from teachback.sdk.answers import Question, error_of, get
from teachback.sdk.frames import MAX_PAYLOAD_BYTES
from teachback.server.gateway.about import About, word
from teachback.server.gateway.endpoints import Talk

#: Most of a compressed answer that is read.
MAX_UNPACKED_BYTES = 16 * 1024 * 1024
#: Longest message of an upstream's error in a trace.
MAX_ERROR_CHARS = 2_000
#: Layers of context that a trace may have; of a longer conversation, the first and the last ones.
MAX_LAYERS = 1_000
#: What each text of a record is cut to when the whole would be too large to keep.
CUT_CHARS = 16_384
_ROOM_BYTES = MAX_PAYLOAD_BYTES - 4_096
_PROVIDERS = {"openai.com": "openai", "anthropic.com": "anthropic", "azure.com": "azure.ai.openai"}

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Exchange:
    """Collects what is recorded of one call."""

    def __init__(self, talk: Talk, question: Question, about: About, upstream: Upstream) -> None:
        self.trace_id = new_id()
        self.talk = talk
        self.question = question
        self.about = about
        self.answer = talk.answer()
        #: The block of lessons that was added, and what was considered for it.
        self.lessons: str | None = None
        self.injections: tuple[Injection, ...] = ()
        self.status: int | None = None
        #: Why the call failed, in one sentence; None when it did not.
        self.error: str | None = None
        #: Whether the answer has come to its end.
        self.ended = False
        #: Events or bodies that could not be read, and passed all the same.
        self.unreadable = 0
        self.upstream_request_id: str | None = None
        self._upstream = upstream
        self._first_token_ms: float | None = None
        self._started_at = datetime.now(UTC)
        self._started = time.perf_counter()

    def event(self, data: bytes) -> object:
        """Read the data of one event; return it decoded, None when it is not JSON."""
        if not data:
            return None
        if data == self.talk.end:
            self.ended = True
            return None
        event = _read(data)
        if event is None:
            self.unreadable += 1
            return None
        try:
            if self.answer.piece(event) and self._first_token_ms is None:
                self._first_token_ms = self._since_start_ms()
        except Exception:  # what a stranger sent decides nothing here
            self.unreadable += 1
        self.ended = self.ended or self.talk.is_last(data, event)
        return event

    def whole(self, body: bytes, *, encoding: str, content_type: str) -> None:
        """Read a finished answer, or an error in its place."""
        self.ended = True
        plain = _unpacked(body, encoding)
        value = _read(plain) if plain is not None else None
        try:
            if value is None:
                self.unreadable += 1
            elif self.status == 200:
                self.answer.whole(value)
        except Exception:  # what a stranger sent decides nothing here
            self.unreadable += 1
        if self.status != 200:
            said = error_of(value) or "no message that can be read"
            self.fail(f"the model provider answered {self.status}: {said}")
        elif not isinstance(value, dict):
            kind = content_type.partition(";")[0][:100] or "no content type"
            self.fail(f"the model provider answered 200 with what is no answer ({kind})")

    def fail(self, error: str) -> None:
        """Note why the call failed; the first reason stays."""
        self.error = self.error or error[:MAX_ERROR_CHARS]

    def record(self) -> bytes:
        """Return the trace in the wire format of the API, cut when it would be too large."""
        latency_ms = self._since_start_ms()
        raw = _encode(self._trace(latency_ms, self._context(), _same))
        if len(raw) > _ROOM_BYTES:
            raw = _encode(self._trace(latency_ms, self._context(), _cut))
        if len(raw) > _ROOM_BYTES:
            raw = _encode(self._trace(latency_ms, [], _cut))
        return raw

    def _trace(self, latency_ms: float, context: list[dict[str, str]], text: Any) -> dict[str, Any]:
        about, answer = self.about, self.answer
        for item in context:
            item["content"] = text(item["content"])
        fields: dict[str, Any] = {
            "id": self.trace_id,
            "query": text(self.question.query),
            "output": text(answer.output),
            "context": context,
            "started_at": self._started_at,
            "session_id": about.session_id,
            "turn": about.turn,
            "request_model": word(self.question.model),
            "response_model": word(answer.model),
            "provider": self._provider(),
            "input_tokens": _tokens(answer.input_tokens),
            "output_tokens": _tokens(answer.output_tokens),
            "latency_ms": latency_ms,
            "first_token_ms": self._first_token_ms,
            "error": text(self.error or answer.error),
            "environment": about.environment,
            "user_id": about.user_id,
            "role": about.role,
            "surface": about.surface,
            "locale": about.locale,
            "release": about.release,
            "tags": about.tags,
            "injections": self.injections or None,
            "metadata": self._metadata(text),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _context(self) -> list[dict[str, str]]:
        layers = self.question.context
        if len(layers) >= MAX_LAYERS:
            half = MAX_LAYERS // 2
            layers = [*layers[:half], *layers[1 - half :]]
        items = [
            {"kind": layer.kind, "name": word(layer.name) or "", "content": layer.content}
            for layer in layers
        ]
        prompt = next((item for item in items if item["kind"] == "system_prompt"), None)
        if prompt is not None and self.about.prompt:
            prompt |= {"name": self.about.prompt, "version": self.about.prompt_version}
        if self.lessons is not None:
            items.append({"kind": "message", "name": "lessons", "content": self.lessons})
        return items

    def _metadata(self, text: Any) -> dict[str, Any]:
        calls = [
            {"name": call["name"], "arguments": text(call["arguments"])}
            for call in self.answer.tool_calls
        ]
        facts = {
            "upstream": self._upstream.name,
            "status": self.status,
            "finish_reason": word(self.answer.finish_reason),
            "tool_calls": calls,
            "request_id": self.upstream_request_id,
            "prompt": self.about.prompt,
            "prompt_version": self.about.prompt_version,
            "unreadable": self.unreadable,
        }
        said = {name: value for name, value in facts.items() if value}
        given = self.about.metadata if text is _same else {}
        return {**given, "gateway": said}

    def _provider(self) -> str:
        """Return the provider by OpenTelemetry's names, else what the configuration calls it."""
        host = self._upstream.url.partition("://")[2].partition("/")[0].partition(":")[0]
        for ending, name in _PROVIDERS.items():
            if host == ending or host.endswith(f".{ending}"):
                return name
        return self._upstream.name

    def _since_start_ms(self) -> float:
        return round((time.perf_counter() - self._started) * 1_000, 3)


def is_usage_alone(event: object) -> bool:
    """Recognise the chunk that is there because a stream was asked for its usage."""
    return get(event, "choices") == [] and get(event, "usage") is not None


def _read(data: bytes) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _decode(sanitize(data)[0])
    except (msgspec.DecodeError, RecursionError):
        return None


def _unpacked(body: bytes, encoding: str) -> bytes | None:
    """Return the answer as it was before its transfer, None when it cannot be read."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        return None
    try:
        unpacker = zlib.decompressobj(31)
        plain = unpacker.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return plain if unpacker.eof else None


def _same(text: str | None) -> str | None:
    return text


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= CUT_CHARS:
        return text
    return f"{text[:CUT_CHARS]}… ({len(text):,} characters)"


def _tokens(number: int | None) -> int | None:
    return number if number is not None and 0 <= number < 2**31 else None
