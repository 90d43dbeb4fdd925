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
from teachback.sdk.prompts import PromptText


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer of the context the model was given."""

    kind: ContextKind
    content: str
    name: str = ""
    version: str = ""


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
    #: Why the model stopped, in the provider's words; None while it has not.
    finish_reason: str | None

    @property
    def output(self) -> str | None:
        """What was answered so far."""

    @property
    def tool_calls(self) -> list[dict[str, str]]:
        """The tools that the model wants called: `name` and `arguments`."""

    def whole(self, result: object) -> None:
        """Read a finished answer."""

    def piece(self, event: object) -> bool:
        """Read one event of a stream; True when it holds a part of the answer."""


def chat_question(request: Mapping[str, object]) -> Question:
    """Read the arguments of `chat.completions.create`."""
    messages = items(request.get("messages"))
    return _question(messages, request, system="")


def responses_question(request: Mapping[str, object]) -> Question:
    """Read the arguments of `responses.create`."""
    given = request.get("input")
    alone: list[object] = [{"role": "user", "content": given}]
    messages = alone if isinstance(given, str) else items(given)
    return _question(messages, request, system=text_of(request.get("instructions")))


def _question(messages: list[object], request: Mapping[str, object], *, system: str) -> Question:
    asked = [i for i, message in enumerate(messages) if get(message, "role") == "user"]
    last = asked[-1] if asked else -1
    context = [_prompt(request.get("instructions"), system)] if system else []
    context += [_layer(message) for i, message in enumerate(messages) if i != last]
    context += [_tool(tool) for tool in items(request.get("tools"))]
    query = text_of(get(messages[last], "content")) if asked else ""
    return Question(query=query, model=as_str(request.get("model")), context=context)


def _layer(message: object) -> Layer:
    role = as_str(get(message, "role")) or as_str(get(message, "type")) or ""
    content = text_of(get(message, "content"))
    if not content:
        parts = get(message, "tool_calls") or get(message, "output") or get(message, "arguments")
        content = render.as_text(parts) or ""
    if role in ("system", "developer"):
        return _prompt(get(message, "content"), content)
    return Layer(kind="message", content=content, name=role)


def _prompt(given: object, content: str) -> Layer:
    """Return a system prompt with its name and version, if it knows them."""
    if isinstance(given, PromptText):
        return Layer(
            kind="system_prompt", content=str(content), name=given.name, version=given.version
        )
    return Layer(kind="system_prompt", content=content)


def _tool(tool: object) -> Layer:
    name = as_str(get(get(tool, "function"), "name")) or as_str(get(tool, "name")) or ""
    return Layer(kind="tool", content=render.as_text(tool) or "", name=name)


class TextAnswer:
    """An answer that comes as words and tool calls, whole or piece by piece."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.model: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.error: str | None = None
        self.finish_reason: str | None = None
        self._words: list[str] = []
        self._calls: dict[object, dict[str, str]] = {}

    @property
    def output(self) -> str | None:
        """Return the words; of an answer without words, the tools it wants called."""
        return "".join(self._words) or render.as_text(self.tool_calls or None)

    @property
    def tool_calls(self) -> list[dict[str, str]]:
        """Return what the model wants called, in order."""
        return list(self._calls.values())


class ChatAnswer(TextAnswer):
    """The answer of `chat.completions.create`: the first choice, its text or its tool calls."""

    def whole(self, result: object) -> None:
        """Read a finished completion."""
        self._about(result)
        for choice in items(get(result, "choices"))[:1]:
            message = get(choice, "message")
            self._finish(choice)
            self._add(message)
            for call in items(get(message, "tool_calls")):
                self._add_call(call, len(self._calls))

    def piece(self, event: object) -> bool:
        """Read one chunk of a stream."""
        self._about(event)
        said = False
        for choice in items(get(event, "choices")):
            if get(choice, "index") in (0, None):
                self._finish(choice)
                said = self._add_delta(get(choice, "delta")) or said
        return said

    def _about(self, result: object) -> None:
        self.model = as_str(get(result, "model")) or self.model
        self.error = error_of(result) or self.error
        usage = get(result, "usage")
        if usage is not None:
            self.input_tokens = count(get(usage, "prompt_tokens"))
            self.output_tokens = count(get(usage, "completion_tokens"))

    def _finish(self, choice: object) -> None:
        self.finish_reason = as_str(get(choice, "finish_reason")) or self.finish_reason

    def _add_delta(self, delta: object) -> bool:
        said = self._add(delta)
        for call in items(get(delta, "tool_calls")):
            self._add_call(call, get(call, "index"))
            said = True
        return said

    def _add(self, message: object) -> bool:
        words = text_of(get(message, "content")) or text_of(get(message, "refusal"))
        if words:
            self._words.append(words)
        return bool(words)

    def _add_call(self, call: object, index: object) -> None:
        parts = self._calls.setdefault(index, {"name": "", "arguments": ""})
        for name in parts:
            parts[name] += as_str(get(get(call, "function"), name)) or ""


class ResponsesAnswer:
    """The answer of `responses.create`."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.model: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.error: str | None = None
        self.finish_reason: str | None = None
        self.tool_calls: list[dict[str, str]] = []
        self._words: list[str] = []
        self._calls: list[object] = []

    @property
    def output(self) -> str | None:
        """Return the words; of an answer without words, the tools it wants called."""
        return "".join(self._words) or render.as_text(self._calls or None)

    def whole(self, result: object) -> None:
        """Read a finished response."""
        self.model = as_str(get(result, "model")) or self.model
        words = as_str(get(result, "output_text")) or _output_text(result)
        self._words = [words] if words else self._words
        self._calls = [o for o in items(get(result, "output")) if get(o, "type") == "function_call"]
        self.tool_calls = [
            {name: as_str(get(call, name)) or "" for name in ("name", "arguments")}
            for call in self._calls
        ]
        usage = get(result, "usage")
        self.input_tokens = count(get(usage, "input_tokens"))
        self.output_tokens = count(get(usage, "output_tokens"))
        self.finish_reason = as_str(get(result, "status"))
        self.error = error_of(result)

    def piece(self, event: object) -> bool:
        """Read one event of a stream; the last one repeats the whole response."""
        kind = get(event, "type")
        if kind == "response.output_text.delta":
            self._words.append(as_str(get(event, "delta")) or "")
            return True
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.whole(get(event, "response"))
        elif kind == "error":
            self.error = as_str(get(event, "message")) or error_of(event)
        elif kind == "response.created":
            self.model = as_str(get(get(event, "response"), "model")) or self.model
        return False


def _output_text(result: object) -> str:
    """Return the words of all messages of a response as it comes over the wire."""
    parts = [
        part
        for item in items(get(result, "output"))
        if get(item, "type") == "message"
        for part in items(get(item, "content"))
    ]
    return "".join(
        as_str(get(part, "text")) or as_str(get(part, "refusal")) or "" for part in parts
    )


def error_of(result: object) -> str | None:
    """Return the message of an error, in an answer or in place of one."""
    error = get(result, "error")
    return as_str(get(error, "message")) or as_str(error)


def get(value: object, name: str) -> object:
    """Return a member of a dictionary or object, or None."""
    if type(value) is dict or isinstance(value, Mapping):  # the first is nearly always so
        return value.get(name)
    return getattr(value, name, None)


def text_of(content: object) -> str:
    """Return the words of a message's content; other parts are named, not copied."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(_part(part) for part in items(content))


def _part(part: object) -> str:
    words = as_str(get(part, "text"))
    return words if words is not None else f"[{as_str(get(part, 'type')) or type(part).__name__}]"


def items(value: object) -> list[object]:
    """Return a list or tuple; anything else, iterators above all, belongs to the application."""
    return list(value) if isinstance(value, list | tuple) else []


def as_str(value: object) -> str | None:
    """Return a text, or None."""
    return value if isinstance(value, str) else None


def count(value: object) -> int | None:
    """Return a number of tokens, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
