"""The decorator, on every kind of function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest

from sdk.stub import Stub
from teachback import Client, current_trace


def test_call_is_a_trace_when_decorated(tb: Client, stub: Stub) -> None:
    """The first argument is the query, the returned value the output."""

    @tb.traced
    def answer(question: str, *, loud: bool = False) -> str:
        """Answer."""
        return question.upper() if loud else question

    assert answer("hi", loud=True) == "HI"
    assert (answer.__name__, answer.__doc__) == ("answer", "Answer.")
    tb.flush()
    assert (stub.trace()["query"], stub.trace()["output"]) == ("hi", "HI")


def test_argument_named_query_is_the_query_when_it_is_not_the_first(tb: Client, stub: Stub) -> None:
    """Methods and functions with other first arguments are read by name."""

    class Assistant:
        @tb.traced
        def answer(self, user: str, query: str) -> str:
            return f"{user}: {query}"

    Assistant().answer("u", query="how?")
    Assistant().answer("u", "how?")
    tb.flush()
    assert [t["query"] for t in stub.records("trace")] == ["how?", "how?"]


def test_awaited_call_is_a_trace_when_decorated(tb: Client, stub: Stub) -> None:
    """A coroutine function stays one, and its trace is current while it runs."""

    @tb.traced
    async def answer(query: str) -> str:
        await asyncio.sleep(0)
        trace = current_trace()
        assert trace is not None
        trace.user_id = "u-7"
        return query

    assert inspect.iscoroutinefunction(answer)
    assert asyncio.run(answer("hi")) == "hi"
    tb.flush()
    assert (stub.trace()["output"], stub.trace()["user_id"]) == ("hi", "u-7")


def test_pieces_are_the_output_when_a_generator_is_decorated(tb: Client, stub: Stub) -> None:
    """What is yielded passes through and is joined, also when the reader stops early."""

    @tb.traced
    def words(query: str) -> Iterator[str]:
        yield from query.split()

    @tb.traced
    async def later(query: str) -> AsyncIterator[str]:
        for word in query.split():
            yield word

    async def read() -> list[str]:
        return [word async for word in later("d e f")]

    assert list(words("a b c")) == ["a", "b", "c"]
    reader = words("x y z")
    assert next(reader) == "x"
    del reader
    assert asyncio.run(read()) == ["d", "e", "f"]
    tb.flush()
    assert [t["output"] for t in stub.records("trace")] == ["abc", "x", "def"]


def test_call_is_a_span_when_it_runs_in_a_trace(tb: Client, stub: Stub) -> None:
    """A decorated step inside a decorated request is a step of its trace."""

    @tb.traced
    def find(query: str) -> list[str]:
        return [query]

    @tb.traced
    def answer(query: str) -> str:
        return find(query)[0]

    answer("hi")
    tb.flush()
    (span,) = stub.trace()["spans"]
    assert (span["name"], span["input"], span["output"]) == ("find", "hi", '["hi"]')


def test_error_passes_when_a_decorated_function_fails(tb: Client, stub: Stub) -> None:
    """The application sees its own error and the trace keeps it."""

    @tb.traced
    def answer(query: str) -> str:
        raise LookupError(query)

    with pytest.raises(LookupError, match="hi"):
        answer("hi")
    tb.flush()
    assert stub.trace()["error"] == "LookupError: hi"


def test_own_output_stays_when_the_function_sets_one(tb: Client, stub: Stub) -> None:
    """A function that returns more than the answer says itself what the answer was."""

    @tb.traced
    def answer(query: str) -> dict[str, object]:
        trace = current_trace()
        assert trace is not None
        trace.output = "the answer"
        return {"query": query, "debug": 1}

    answer("hi")
    tb.flush()
    assert stub.trace()["output"] == "the answer"
