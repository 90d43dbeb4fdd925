"""The real OpenAI client, wrapped: the application sees no difference, the trail everything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, OpenAI, Stream

from sdk.model_stub import PIECES, ModelStub
from sdk.stub import Stub
from teachback import Client, wrap_openai

MESSAGES: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi!"},
    {"role": "user", "content": [{"type": "text", "text": "How do I export?"}]},
]
TOOLS: Any = [{"type": "function", "function": {"name": "search", "parameters": {}}}]
ANSWER = "".join(PIECES)


@pytest.fixture
def model() -> Iterator[ModelStub]:
    """A model server that can be told to misbehave."""
    with ModelStub() as running:
        yield running


@pytest.fixture
def openai(model: ModelStub, tb: Client) -> Iterator[OpenAI]:
    """The real client, wrapped."""
    with OpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
        yield wrap_openai(client, client=tb)


def ask(openai: OpenAI, **more: Any) -> Any:
    return openai.chat.completions.create(model="model-1", messages=MESSAGES, **more)


def test_call_is_a_trace_when_none_is_open(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """One line of wrapping records query, context, answer, models and tokens."""
    completion = ask(openai, tools=TOOLS)
    assert completion.choices[0].message.content == ANSWER
    tb.flush()
    trace = stub.trace()
    assert (trace["query"], trace["output"]) == ("How do I export?", ANSWER)
    assert (trace["request_model"], trace["response_model"]) == ("model-1", "model-2")
    assert (trace["input_tokens"], trace["output_tokens"]) == (11, 2)
    assert [(layer["kind"], layer.get("name")) for layer in trace["context"]] == [
        ("system_prompt", None),
        ("message", "user"),
        ("message", "assistant"),
        ("tool", "search"),
    ]
    assert "spans" not in trace


def test_call_fills_the_trace_when_one_is_open(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """Inside a trace calls are spans; the trace keeps what the application said itself."""
    with tb.trace("How do I export my data?", user_id="u-7") as trace:
        trace.system_prompt("Be brief.", name="support", version="7")
        ask(openai)
        ask(openai)
    tb.flush()
    record = stub.trace()
    assert (record["query"], record["output"]) == ("How do I export my data?", ANSWER)
    assert [layer.get("version") for layer in record["context"]] == ["7"]
    assert (record["input_tokens"], record["output_tokens"]) == (22, 4)
    assert [(s["name"], s["kind"], s["output"]) for s in record["spans"]] == [
        ("chat model-1", "chat", ANSWER),
    ] * 2
    assert record["spans"][0]["metadata"] == {
        "response_model": "model-2",
        "input_tokens": 11,
        "output_tokens": 2,
    }


def test_own_values_stay_when_the_application_sets_them(
    openai: OpenAI, tb: Client, stub: Stub
) -> None:
    """The wrapper never writes over the application's own output and tokens."""
    with tb.trace("q") as trace:
        trace.output, trace.input_tokens = "mine", 5
        ask(openai)
    tb.flush()
    assert (stub.trace()["output"], stub.trace()["input_tokens"]) == ("mine", 5)


def test_stream_passes_unchanged_when_read(
    openai: OpenAI, tb: Client, stub: Stub, model: ModelStub
) -> None:
    """The application sees the chunks it would see without us; the usage we asked for is ours."""
    stream = ask(openai, stream=True)
    assert isinstance(stream, Stream)
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == ANSWER
    assert model.requests[0]["stream_options"] == {"include_usage": True}
    assert len(chunks) == len(PIECES) + 2
    tb.flush()
    trace = stub.trace()
    assert (trace["output"], trace["input_tokens"], trace["output_tokens"]) == (ANSWER, 11, 2)
    assert 0 < trace["first_token_ms"] <= trace["latency_ms"]


@pytest.mark.parametrize(("asked", "extra"), [({"include_usage": True}, 1), ({}, 0)])
def test_usage_is_left_alone_when_the_application_decides(
    openai: OpenAI, model: ModelStub, asked: dict[str, Any], extra: int
) -> None:
    """Stream options of the application's own are sent and answered as they are."""
    chunks = list(ask(openai, stream=True, stream_options=asked))
    assert model.requests[0]["stream_options"] == asked
    assert len(chunks) == len(PIECES) + 2 + extra


def test_stream_works_when_the_server_knows_no_usage(
    openai: OpenAI, tb: Client, stub: Stub, model: ModelStub
) -> None:
    """A server that refuses what we add is asked again without it, and never again with it."""
    model.knows_usage = False
    for _ in range(2):
        assert len(list(ask(openai, stream=True))) == len(PIECES) + 2
    assert ["stream_options" in request for request in model.requests] == [True, False, False]
    tb.flush()
    assert [t["output"] for t in stub.records("trace")] == [ANSWER, ANSWER]


def test_stream_is_recorded_when_left_early(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """A reader who stops after some words leaves a trace with these words."""
    with ask(openai, stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    del stream, chunk
    gc.collect()
    tb.flush()
    assert stub.trace()["output"] == PIECES[0]


def test_stream_outlives_its_block_when_read_later(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """A trace whose block ends before its stream is read waits for the answer."""
    with tb.trace("q") as trace:
        stream = ask(openai, stream=True)
    tb.flush()
    assert stub.records("trace") == []
    list(stream)
    tb.flush()
    assert stub.trace()["id"] == trace.id
    assert stub.trace()["output"] == ANSWER


def test_error_passes_when_the_model_fails(
    openai: OpenAI, tb: Client, stub: Stub, model: ModelStub
) -> None:
    """The application gets the client's own exception, and the trace names it."""
    model.status = 400
    with pytest.raises(BadRequestError):
        ask(openai)
    model.status, model.dies = 200, True
    with pytest.raises(APIError) as raised:
        list(ask(openai, stream=True))
    tb.flush()
    first, second = stub.records("trace")
    assert first["error"].startswith("BadRequestError")
    assert second["output"] == PIECES[0]
    assert second["error"].startswith(type(raised.value).__name__)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_the_output_when_the_model_calls_them(
    openai: OpenAI,
    tb: Client,
    stub: Stub,
    model: ModelStub,
    stream: bool,
) -> None:
    """An answer without words is recorded as the calls it asks for."""
    model.calls_tool = True
    result = ask(openai, stream=stream, tools=TOOLS)
    if stream:
        list(result)
    tb.flush()
    assert stub.trace()["output"] == '[{"name":"search","arguments":"{\\"q\\":\\"export\\"}"}]'


def test_other_ways_to_call_are_traced_when_used(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """Raw responses and the streaming helper go through the same method."""
    raw = openai.chat.completions.with_raw_response.create(model="model-1", messages=MESSAGES)
    assert raw.parse().choices[0].message.content == ANSWER
    with openai.chat.completions.stream(model="model-1", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == ANSWER
    tb.flush()
    assert [t["output"] for t in stub.records("trace")] == [ANSWER, ANSWER]


def test_responses_are_traced_when_used(openai: OpenAI, tb: Client, stub: Stub) -> None:
    """The responses interface is recorded whole and streamed."""
    whole = openai.responses.create(model="model-1", input="How?", instructions="Be brief.")
    assert whole.output_text == ANSWER
    events = list(openai.responses.create(model="model-1", input=MESSAGES, stream=True))
    assert len(events) == len(PIECES) + 1
    tb.flush()
    first, second = stub.records("trace")
    assert (first["query"], second["query"]) == ("How?", "How do I export?")
    assert first["context"] == [{"kind": "system_prompt", "content": "Be brief."}]
    for trace in (first, second):
        assert (trace["output"], trace["input_tokens"]) == (ANSWER, 11)
    assert second["first_token_ms"] > 0


def test_async_client_is_traced_when_wrapped(tb: Client, stub: Stub, model: ModelStub) -> None:
    """Calls and streams of the async client, several at a time, each in its own trace."""
    failures: list[BaseException] = []

    async def calls() -> None:
        async with AsyncOpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
            openai = wrap_openai(client, client=tb)
            create = openai.chat.completions.create

            async def one(number: int) -> None:
                with tb.trace(f"q {number}"):
                    await create(model="model-1", messages=MESSAGES)

            await asyncio.gather(*(one(number) for number in range(5)))
            stream = await create(model="model-1", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == len(PIECES) + 2
            model.knows_usage = False
            stream = await create(model="model-1", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == len(PIECES) + 2
            model.status = 400
            try:
                await create(model="model-1", messages=MESSAGES)
            except BadRequestError as error:
                failures.append(error)

    asyncio.run(calls())
    tb.flush()
    traces = stub.records("trace")
    assert len(failures) == 1
    assert sorted(t["query"] for t in traces[:5]) == [f"q {number}" for number in range(5)]
    assert [t.get("output") for t in traces] == [ANSWER] * 7 + [None]
    assert all(len(t["spans"]) == 1 for t in traces[:5])


def test_calls_work_when_teachback_is_off(model: ModelStub) -> None:
    """A client without an address changes nothing about the model's answers."""
    with OpenAI(base_url=model.url, api_key="k", max_retries=0) as plain:
        openai = wrap_openai(plain, client=Client())
        assert openai is plain
        assert ask(openai).choices[0].message.content == ANSWER
        assert len(list(ask(openai, stream=True))) == len(PIECES) + 2


def test_anything_can_be_wrapped_when_it_is_no_client(tb: Client) -> None:
    """Wrapping what is no OpenAI client returns it as it was."""
    thing = object()
    assert wrap_openai(thing, client=tb) is thing
