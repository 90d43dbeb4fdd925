"""One call of a model on its way into a trace, whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from teachback.sdk.answers import Answer, Question, get
from teachback.sdk.guard import say_failure
from teachback.sdk.trace import Span, Trace, current_trace

if TYPE_CHECKING:
    from teachback.sdk.client import Client


class ModelCall:
    """Fills the trace around it, or makes one of its own."""

    def __init__(
        self, client: Client, question: Question, answer: Answer, provider: str | None
    ) -> None:
        around = current_trace()
        self.asked_usage = False
        self._answer = answer
        self._own = around is None
        self._trace = client.trace(question.query) if around is None else around
        self._span = None if around is None else _span(around, question)
        self._done = False
        self._trace.open_stream()
        if not self._trace.context:
            _add_context(self._trace, question)
        self._trace.fill(query=question.query, request_model=question.model, provider=provider)

    def ask_usage(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a stream with its usage asked for, unless they say something."""
        if kwargs.get("stream") is not True or "stream_options" in kwargs:
            return kwargs
        self.asked_usage = True
        return {**kwargs, "stream_options": {"include_usage": True}}

    def answered(self, result: object) -> None:
        """Note a whole answer, or watch a stream until it ends."""
        parse = getattr(result, "parse", None)
        if callable(parse) and hasattr(result, "http_response"):
            result = parse()  # a raw response keeps what it parsed: the application gets the same
        stream: Any = result
        if hasattr(stream, "_iterator"):
            observer = _AsyncStream if hasattr(stream._iterator, "__anext__") else _Stream
            stream._iterator = observer(stream._iterator, self)
            return
        self._answer.whole(result)
        self.end()

    def piece(self, event: object) -> bool:
        """Note one event; False when it is there only because we asked for it."""
        try:
            if self._answer.piece(event):
                self._trace.first_token()
        except Exception as error:
            say_failure("wrap_openai", error)
        if not self.asked_usage:
            return True
        return bool(get(event, "choices")) or get(event, "usage") is None

    def end(self, error: BaseException | None = None) -> None:
        """Put what is known in the trace; a call ends once."""
        if self._done:
            return
        self._done = True
        answer = self._answer
        failure = error if error is not None else answer.error
        self._trace.fill(
            output=answer.output,
            response_model=answer.model,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )
        if self._span is not None:
            self._end_span(self._span, failure)
        if self._own:
            self._trace.error = failure
            self._trace.end()
        self._trace.close_stream()

    def _end_span(self, span: Span, failure: object) -> None:
        answer = self._answer
        span.output, span.error = answer.output, failure
        said = {
            "response_model": answer.model,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
        }
        span.metadata = {name: value for name, value in said.items() if value is not None}
        span.end()


def _span(trace: Trace, question: Question) -> Span:
    return trace.span(f"chat {question.model or ''}".strip(), kind="chat", input=question.query)


def _add_context(trace: Trace, question: Question) -> None:
    for layer in question.context:
        trace.add(layer.kind, layer.content, name=layer.name, version=layer.version)


def finish(call: ModelCall | None, result: Any) -> Any:
    """Hand the result on to the application, noted or watched."""
    if call is not None:
        try:
            call.answered(result)
        except Exception as error:
            say_failure("wrap_openai", error)
            fail(call, None)
    return result


def fail(call: ModelCall | None, error: BaseException | None) -> None:
    """End a call that has no answer."""
    if call is not None:
        try:
            call.end(error)
        except Exception as failure:
            say_failure("wrap_openai", failure)


class _Stream:
    """Passes a stream on, event by event; ends its call when it is read, left or forgotten."""

    def __init__(self, inner: Iterator[Any], call: ModelCall) -> None:
        self._inner = inner
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            event = next(self._inner)
            while not self._call.piece(event):
                event = next(self._inner)
        except BaseException as error:
            fail(self._call, None if isinstance(error, StopIteration) else error)
            raise
        return event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        fail(self._call, None)


class _AsyncStream:
    """The same for the async client."""

    def __init__(self, inner: AsyncIterator[Any], call: ModelCall) -> None:
        self._inner = inner
        self._call = call

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            event = await anext(self._inner)
            while not self._call.piece(event):
                event = await anext(self._inner)
        except BaseException as error:
            fail(self._call, None if isinstance(error, StopAsyncIteration) else error)
            raise
        return event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        fail(self._call, None)
