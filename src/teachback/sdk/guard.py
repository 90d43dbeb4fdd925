"""The promise never to raise into the application: one decorator, one logger."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

logger = logging.getLogger("teachback")

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")

#: What was said already; a fault in a busy application would fill its log.
_said: set[str] = set()


def guarded(
    fallback: Callable[[S], R],
) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Make a public method safe: whatever fails inside is logged once, `fallback` answers."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:
                say_failure(method.__qualname__, error)
                return fallback(self)

        return call

    return decorate


def quiet(
    method: Callable[Concatenate[S, P], None],
) -> Callable[Concatenate[S, P], None]:
    """Make a public method that answers nothing safe."""

    def nothing(_: S) -> None:
        return None

    return guarded(nothing)(method)


def say_failure(where: str, error: BaseException) -> None:
    """Log once that something of ours failed; never the message, it may quote content."""
    say_once(f"teachback: {where} failed with {type(error).__name__}{_place(error)}")


def say_once(message: str) -> None:
    """Log a warning unless it was logged before."""
    if message not in _said and len(_said) < 1000:
        _said.add(message)
        logger.warning(message)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
