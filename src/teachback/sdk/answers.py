"""What an OpenAI-compatible request asks and its answer says: chat completions and responses.

Pure reading of foreign objects: pydantic models, dictionaries, or what a compatible server makes
of them. Whatever is not there reads as None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from teachback.model.trace import ContextKind
from teachback.sdk import render


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer of the context the model was given."""

    kind: ContextKind
    content: str
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a request asks."""

    query: str
    model: str | None
    context: list[Layer] = field(default_factory=list)


class Answer(Protocol):
    """Collects what a model answered, whole or piece by piece."""

    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    error: str | None

    @property
    def output(self) -> str | None:
        """What was answered so far."""

    def whole(self, result: object) -> None:
        """Read a finished answer."""

    def piece(self, event: object) -> bool:
        """Read one event of a stream; True when it holds a part of the answer."""


def chat_question(request: Mapping[str, object]) -> Question:
    """Read the arguments of `chat.completions.create`."""
    messages = _items(request.get("messages"))
    return _question(messages, request, system="")


def responses_question(request: Mapping[str, object]) -> Question:
    """Read the arguments of `responses.create`."""
    given = request.get("input")
    alone: list[object] = [{"role": "user", "content": given}]
    messages = alone if isinstance(given, str) else _items(given)
    return _question(messages, request, system=text_of(request.get("instructions")))


def _question(messages: list[object], request: Mapping[str, object], *, system: str) -> Question:
    asked = [i for i, message in enumerate(messages) if get(message, "role") == "user"]
    last = asked[-1] if asked else -1
    context = [Layer(kind="system_prompt", content=system)] if system else []
    context += [_layer(message) for i, message in enumerate(messages) if i != last]
    context += [_tool(tool) for tool in _items(request.get("tools"))]
    query = text_of(get(messages[last], "content")) if asked else ""
    return Question(query=query, model=_text(request.get("model")), context=context)


def _layer(message: object) -> Layer:
    role = _text(get(message, "role")) or _text(get(message, "type")) or ""
    content = text_of(get(message, "content"))
    if not content:
        parts = get(message, "tool_calls") or get(message, "output") or get(message, "arguments")
        content = render.as_text(parts) or ""
    if role in ("system", "developer"):
        return Layer(kind="system_prompt", content=content)
    return Layer(kind="message", content=content, name=role)


def _tool(tool: object) -> Layer:
    name = _text(get(get(tool, "function"), "name")) or _text(get(tool, "name")) or ""
    return Layer(kind="tool", content=render.as_text(tool) or "", name=name)


class ChatAnswer:
    """The answer of `chat.completions.create`: the first choice, its text or its tool calls."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.model: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.error: str | None = None
        self._words = ""
        self._calls: dict[object, dict[str, str]] = {}

    @property
    def output(self) -> str | None:
        """Return the words; of an answer without words, the tools it wants called."""
        return self._words or render.as_text(list(self._calls.values()) or None)

    def whole(self, result: object) -> None:
        """Read a finished completion."""
        self._about(result)
        for choice in _items(get(result, "choices"))[:1]:
            message = get(choice, "message")
            self._add(message)
            for call in _items(get(message, "tool_calls")):
                self._add_call(call, len(self._calls))

    def piece(self, event: object) -> bool:
        """Read one chunk of a stream."""
        self._about(event)
        said = False
        for choice in _items(get(event, "choices")):
            if get(choice, "index") in (0, None):
                said = self._add_delta(get(choice, "delta")) or said
        return said

    def _about(self, result: object) -> None:
        self.model = _text(get(result, "model")) or self.model
        usage = get(result, "usage")
        if usage is not None:
            self.input_tokens = _count(get(usage, "prompt_tokens"))
            self.output_tokens = _count(get(usage, "completion_tokens"))

    def _add_delta(self, delta: object) -> bool:
        said = self._add(delta)
        for call in _items(get(delta, "tool_calls")):
            self._add_call(call, get(call, "index"))
            said = True
        return said

    def _add(self, message: object) -> bool:
        text = text_of(get(message, "content")) or text_of(get(message, "refusal"))
        self._words += text
        return bool(text)

    def _add_call(self, call: object, index: object) -> None:
        parts = self._calls.setdefault(index, {"name": "", "arguments": ""})
        for name in parts:
            parts[name] += _text(get(get(call, "function"), name)) or ""


class ResponsesAnswer:
    """The answer of `responses.create`."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.output: str | None = None
        self.model: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.error: str | None = None

    def whole(self, result: object) -> None:
        """Read a finished response."""
        self.model = _text(get(result, "model")) or self.model
        self.output = _text(get(result, "output_text")) or self.output
        if self.output is None:
            calls = [o for o in _items(get(result, "output")) if get(o, "type") == "function_call"]
            self.output = render.as_text(calls) if calls else None
        usage = get(result, "usage")
        self.input_tokens = _count(get(usage, "input_tokens"))
        self.output_tokens = _count(get(usage, "output_tokens"))
        self.error = _text(get(get(result, "error"), "message"))

    def piece(self, event: object) -> bool:
        """Read one event of a stream; the last one repeats the whole response."""
        kind = get(event, "type")
        if kind == "response.output_text.delta":
            self.output = (self.output or "") + (_text(get(event, "delta")) or "")
            return True
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.whole(get(event, "response"))
        return False


def get(value: object, name: str) -> object:
    """Return a member of a dictionary or object, or None."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def text_of(content: object) -> str:
    """Return the words of a message's content; other parts are named, not copied."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(_part(part) for part in _items(content))


def _part(part: object) -> str:
    text = _text(get(part, "text"))
    return text if text is not None else f"[{_text(get(part, 'type')) or type(part).__name__}]"


def _items(value: object) -> list[object]:
    """Return a list or tuple; anything else, iterators above all, belongs to the application."""
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
