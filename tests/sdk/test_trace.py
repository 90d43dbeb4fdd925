"""Traces as the server gets them."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from sdk.conftest import MakeClient
from sdk.stub import Stub
from teachback import Client, Trace, current_trace


def test_trace_arrives_whole_when_the_block_ends(tb: Client, stub: Stub) -> None:
    """Everything that was said about a request is in its record, under the API's names."""
    with tb.trace("How do I export?", user_id="u-7", session_id="s-1", turn=2, tags=["beta"]) as t:
        t.system_prompt("Be brief.", name="support", version="7")
        t.document("Reports, then Export.", name="export-guide", version="2025-03", score=0.83)
        t.tool({"name": "search"}, name="search")
        t.message("Hello", role="user")
        t.request_model, t.response_model, t.provider = "m", "m-2", "openai"
        t.input_tokens, t.output_tokens, t.cost_usd = 12, 3, 0.001
        t.metadata = {"plan": {"name": "free"}}
        t.output = "Press Export."
    assert tb.flush()
    record = stub.trace()
    assert record.pop("latency_ms") >= 0
    assert datetime.fromisoformat(record.pop("started_at")).tzinfo is not None
    assert record == {
        "object": "trace",
        "id": t.id,
        "query": "How do I export?",
        "output": "Press Export.",
        "context": [
            {"kind": "system_prompt", "name": "support", "version": "7", "content": "Be brief."},
            {
                "kind": "document",
                "name": "export-guide",
                "version": "2025-03",
                "score": 0.83,
                "content": "Reports, then Export.",
            },
            {"kind": "tool", "name": "search", "content": '{"name":"search"}'},
            {"kind": "message", "name": "user", "content": "Hello"},
        ],
        "user_id": "u-7",
        "session_id": "s-1",
        "turn": 2,
        "tags": ["beta"],
        "request_model": "m",
        "response_model": "m-2",
        "provider": "openai",
        "input_tokens": 12,
        "output_tokens": 3,
        "cost_usd": 0.001,
        "metadata": {"plan": {"name": "free"}},
        "environment": "prod",
    }


def test_spans_keep_their_parents_when_nested(tb: Client, stub: Stub) -> None:
    """A span opened inside another names it as its parent."""
    with tb.trace("q") as trace:
        with (
            trace.span("answer") as outer,
            trace.span("find", kind="retrieval", input="q") as inner,
        ):
            inner.output = ["a", "b"]
        with trace.span("check"):
            pass
    tb.flush()
    first, second, third = stub.trace()["spans"]
    assert (first["name"], first.get("parent_id")) == ("answer", None)
    assert (second["parent_id"], second["kind"]) == (outer.id, "retrieval")
    assert (second["input"], second["output"]) == ("q", '["a","b"]')
    assert "parent_id" not in third


def test_exception_passes_and_is_recorded_when_it_leaves_the_block(tb: Client, stub: Stub) -> None:
    """The application's own error reaches the application, and its trace says so."""
    with pytest.raises(ZeroDivisionError), tb.trace("q") as trace, trace.span("divide"):
        1 / 0  # noqa: B018
    tb.flush()
    assert stub.trace()["error"] == "ZeroDivisionError: division by zero"
    assert stub.trace()["spans"][0]["error"] == "ZeroDivisionError: division by zero"


def test_trace_is_sent_once_when_ended_twice(tb: Client, stub: Stub) -> None:
    """Ending again, by hand or by the block, changes nothing."""
    with tb.trace("q") as trace:
        trace.end()
    trace.end()
    tb.flush()
    assert stub.arrivals == {trace.id: 1}


def test_history_keeps_its_times_when_replayed(tb: Client, stub: Stub) -> None:
    """Start, latency and id can be set, for traffic of the past."""
    trace = tb.trace("q")
    trace.id, trace.latency_ms = "old-1", 120.5
    trace.started_at = datetime(2025, 3, 1, 12, tzinfo=UTC)
    trace.end()
    tb.flush()
    record = stub.trace()
    assert (record["id"], record["latency_ms"]) == ("old-1", 120.5)
    assert record["started_at"] == "2025-03-01T12:00:00Z"


def test_settings_stand_in_when_the_trace_does_not_say(
    make_client: MakeClient, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment and release come from the client, or from variables; long names are known."""
    monkeypatch.setenv("TEACHBACK_RELEASE", "2.4.0")
    client = make_client(environment="staging")
    client.trace("q").end()
    client.flush()
    assert stub.trace()["environment"] == "test"
    assert stub.trace()["release"] == "2.4.0"


def test_first_token_counts_once_when_told_again(tb: Client, stub: Stub) -> None:
    """The time of the first piece of an answer is the first one told."""
    with tb.trace("q") as trace:
        trace.first_token()
        first = trace.first_token_ms
        trace.first_token()
    tb.flush()
    assert stub.trace()["first_token_ms"] == first


def test_current_trace_follows_the_task_when_many_run(tb: Client) -> None:
    """Concurrent tasks and threads each see their own trace."""

    async def answer(number: int) -> tuple[Trace, Trace | None]:
        with tb.trace(str(number)) as trace:
            await asyncio.sleep(0.001)
            return trace, current_trace()

    async def answers() -> list[tuple[Trace, Trace | None]]:
        return list(await asyncio.gather(*(answer(number) for number in range(20))))

    assert all(own is seen for own, seen in asyncio.run(answers()))
    seen: list[Trace | None] = []
    with tb.trace("outer"):
        thread = threading.Thread(target=lambda: seen.append(current_trace()))
        thread.start()
        thread.join()
    assert seen == [None]
    assert current_trace() is None
