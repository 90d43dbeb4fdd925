"""One request of the application, filled while it runs and sent when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from teachback.model.ids import new_id
from teachback.model.recall import Injection
from teachback.model.trace import ContextKind
from teachback.sdk.guard import quiet
from teachback.sdk.prompts import PromptText

Fields = dict[str, object]

_current_trace: ContextVar[Trace | None] = ContextVar("teachback_trace", default=None)
_current_span: ContextVar[Span | None] = ContextVar("teachback_span", default=None)


def current_trace() -> Trace | None:
    """Return the trace this code runs in, across awaits; None outside of one."""
    return _current_trace.get()


class Trace:
    """One request of the application to a model. Set attributes while it runs; `end` sends it.

    ```python
    with client.trace(query="How do I export?") as trace:
        trace.output = answer("How do I export?")
    ```
    """

    def __init__(self, send: Callable[[Trace], None], *, query: object = None) -> None:
        """Made by `Client.trace`; `send` is called once, when the trace ends."""
        #: Known from the start; give feedback on it.
        self.id = new_id()
        #: What the end user asked, and what was answered.
        self.query: object = query
        self.output: object = None
        self.session_id: str | None = None
        self.turn: int | None = None
        #: Model asked, model that answered, and whose it is.
        self.request_model: str | None = None
        self.response_model: str | None = None
        self.provider: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        #: Milliseconds; from start to end when not set.
        self.latency_ms: float | None = None
        self.first_token_ms: float | None = None
        self.cost_usd: float | None = None
        #: Why the request failed; set by an exception that leaves the `with` block.
        self.error: object = None
        #: `dev`, `test` or `prod`; the client's when not set.
        self.environment: str | None = None
        #: The end user, as a pseudonym, and their role.
        self.user_id: str | None = None
        self.role: str | None = None
        self.surface: str | None = None
        self.locale: str | None = None
        self.release: str | None = None
        self.tags: Iterable[str] | None = None
        self.metadata: Mapping[str, object] | None = None
        self.started_at = datetime.now(UTC)
        self.context: list[Fields] = []
        self.spans: list[Span] = []
        #: Lessons that were chosen for it in this process.
        self.injections: list[Injection] = []
        self._send = send
        self._started = time.perf_counter()
        self._ended = False
        #: What `fill` set last, to tell it from what the application set.
        self._filled: Fields = {}
        self._open_streams = 0
        self._token: Token[Trace | None] | None = None

    @quiet
    def system_prompt(self, content: object, *, name: str = "", version: str = "") -> None:
        """Add the system prompt the model was given, with the name and version it is kept under.

        What `Client.prompt` returned knows both.
        """
        if isinstance(content, PromptText):
            name, version = name or content.name, version or content.version
            content = str(content)
        self.add("system_prompt", content, name=name, version=version)

    @quiet
    def document(
        self, content: object, *, name: str = "", version: str = "", score: float | None = None
    ) -> None:
        """Add a retrieved document; `score` is its rank in the retrieval."""
        self.add("document", content, name=name, version=version, score=score)

    @quiet
    def tool(self, content: object, *, name: str = "", version: str = "") -> None:
        """Add the definition of a tool the model may use."""
        self.add("tool", content, name=name, version=version)

    @quiet
    def message(self, content: object, *, role: str) -> None:
        """Add an earlier message of the conversation, by the role that said it."""
        self.add("message", content, name=role)

    def add(
        self,
        kind: ContextKind,
        content: object,
        *,
        name: str = "",
        version: str = "",
        score: object = None,
    ) -> None:
        """Add one layer of what the model was given, in the order given."""
        self.context.append(
            {"kind": kind, "content": content, "name": name, "version": version, "score": score}
        )

    def span(
        self,
        name: str,
        *,
        kind: str = "",
        input: object = None,  # noqa: A002 - the word of the API
    ) -> Span:
        """Return one step of this trace; use it with `with`."""
        return Span(self, name, kind=kind, input=input)

    @quiet
    def first_token(self) -> None:
        """Note that the first piece of the answer is here; only the first call counts."""
        if self.first_token_ms is None:
            self.first_token_ms = _milliseconds_since(self._started)

    @quiet
    def end(self) -> None:
        """Send the trace: it is in the spool when this returns. Later calls do nothing.

        While a stream of a wrapped model client is still being read, it is sent when that ends.
        """
        if self._ended:
            return
        self._ended = True
        if self._open_streams == 0:
            self._finish()

    def fill(self, **values: object) -> None:
        """Set attributes from a model's answer, never over what the application has set itself.

        Counts of tokens add up over the calls of one trace; of other values the last one stays.
        """
        for name, value in values.items():
            current, filled = getattr(self, name), self._filled.get(name)
            if value is None or not (_says_nothing(current) or current is filled):
                continue
            adds_up = isinstance(value, int) and isinstance(filled, int)
            self._filled[name] = value + filled if adds_up else value  # type: ignore[operator]
            setattr(self, name, self._filled[name])

    def open_stream(self) -> None:
        """Keep the trace from being sent until `close_stream`."""
        self._open_streams += 1

    def close_stream(self) -> None:
        """End what `open_stream` began; sends the trace when it was waiting for that."""
        self._open_streams -= 1
        if self._ended and self._open_streams == 0:
            self._finish()

    def _finish(self) -> None:
        if self.latency_ms is None:
            self.latency_ms = _milliseconds_since(self._started)
        self._send(self)

    def __enter__(self) -> Self:
        self._token = _current_trace.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        _leave(_current_trace, self._token)
        if error is not None and self.error is None:
            self.error = error
        self.end()


class Span:
    """One step inside a trace: a retrieval, a tool, a model call."""

    def __init__(
        self,
        trace: Trace,
        name: str,
        *,
        kind: str = "",
        input: object = None,  # noqa: A002 - the word of the API
    ) -> None:
        """Made by `Trace.span`."""
        parent = _current_span.get()
        self.trace = trace
        self.id = new_id()
        self.name = name
        self.kind = kind
        self.parent_id = parent.id if parent is not None and parent.trace is trace else None
        self.input: object = input
        self.output: object = None
        self.error: object = None
        self.metadata: Mapping[str, object] | None = None
        self.latency_ms: float | None = None
        self.started_at = datetime.now(UTC)
        self._started = time.perf_counter()
        self._token: Token[Span | None] | None = None
        trace.spans.append(self)

    @quiet
    def end(self) -> None:
        """Note how long the step took; it is sent with its trace."""
        if self.latency_ms is None:
            self.latency_ms = _milliseconds_since(self._started)

    def __enter__(self) -> Self:
        self._token = _current_span.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        _leave(_current_span, self._token)
        if error is not None and self.error is None:
            self.error = error
        self.end()


def _says_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple) and not value)


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def _leave(variable: ContextVar[Trace | None] | ContextVar[Span | None], token: object) -> None:
    """Restore what was current; a generator may be finished in another context, which is fine."""
    try:
        variable.reset(token)  # type: ignore[arg-type]
    except (ValueError, RuntimeError, TypeError):
        variable.set(None)
