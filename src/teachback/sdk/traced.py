"""The decorator: each call of a function is a trace, or a span of the trace it runs in."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

from teachback.sdk.guard import say_failure
from teachback.sdk.trace import Span, Trace, current_trace

P = ParamSpec("P")
R = TypeVar("R")

NewTrace = Callable[[object], Trace]


def traced(new_trace: NewTrace, function: Callable[P, R]) -> Callable[P, R]:
    """Return the function recorded; sync, async, and generators of either kind.

    The query is the argument named `query`, else the first one; the output is what is returned,
    or the pieces that are yielded, joined when they are text.
    """
    query = _query_reader(function)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace | Span:
        asked = query(args, kwargs)
        trace = current_trace()
        return trace.span(function.__name__, input=asked) if trace else new_trace(asked)

    return cast(Callable[P, R], functools.wraps(function)(_recorder(function, begin)))


def _recorder(function: Callable[..., Any], begin: Callable[..., Trace | Span]) -> Any:
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, begin)
    if inspect.isgeneratorfunction(function):
        return _generator(function, begin)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, begin)

    def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as step:
            result = function(*args, **kwargs)
            _note(step, result)
            return result

    return call


def _coroutine(function: Callable[..., Any], begin: Callable[..., Trace | Span]) -> Any:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as step:
            result = await function(*args, **kwargs)
            _note(step, result)
            return result

    return call


def _generator(function: Callable[..., Any], begin: Callable[..., Trace | Span]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        pieces: list[Any] = []
        with begin(args, kwargs) as step:
            try:
                for piece in function(*args, **kwargs):
                    pieces.append(piece)
                    yield piece
            finally:
                _note(step, _joined(pieces))

    return call


def _async_generator(function: Callable[..., Any], begin: Callable[..., Trace | Span]) -> Any:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        pieces: list[Any] = []
        with begin(args, kwargs) as step:
            try:
                async for piece in function(*args, **kwargs):
                    pieces.append(piece)
                    yield piece
            finally:
                _note(step, _joined(pieces))

    return call


def _note(step: Trace | Span, output: object) -> None:
    """Keep what came out, unless the function has set a better output itself."""
    if step.output is None:
        step.output = output


def _joined(pieces: list[Any]) -> object:
    return "".join(pieces) if all(type(piece) is str for piece in pieces) else pieces


def _query_reader(function: Callable[..., Any]) -> Callable[..., object]:
    """Return what finds the query among the arguments of a call."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        say_failure("traced", error)
        names = []
    position = 1 if names[:1] in (["self"], ["cls"]) else 0
    position = names.index("query") if "query" in names else position
    name = names[position] if position < len(names) else ""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return args[position] if position < len(args) else kwargs.get(name)

    return read
