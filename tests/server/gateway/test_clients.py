"""The official clients work when nothing but their address and key is changed."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from support.gateway import ASKED, QUESTION, Through, gateway, shared_gateway
from support.upstream import ANSWER, KEY, MODEL

__all__ = ["gateway", "shared_gateway"]

TOOLS: Any = [{"type": "function", "function": {"name": "search", "parameters": {}}}]
CLAUDE: Any = {"model": "claude-plain", "max_tokens": 100, "messages": ASKED}


def test_chat_is_answered_and_recorded(gateway: Through) -> None:
    """The answer is the provider's; its headers lead to the trace."""
    with gateway.openai() as client:
        raw = client.chat.completions.with_raw_response.create(model="plain", messages=ASKED)
    answer = raw.parse()
    assert answer.choices[0].message.content == ANSWER
    assert raw.headers["x-request-id"] == "req-7"
    trace = gateway.trace(raw.headers["x-teachback-trace-id"])
    assert (trace["query"], trace["output"]) == (QUESTION, ANSWER)
    assert (trace["request_model"], trace["response_model"]) == ("plain", MODEL)
    assert (trace["input_tokens"], trace["output_tokens"]) == (11, 3)
    assert (trace["provider"], trace["environment"]) == ("stub", "prod")
    assert "error" not in trace
    assert trace["latency_ms"] > 0


def test_chat_is_streamed_and_recorded(gateway: Through) -> None:
    """The same pieces in the same order; usage and first token are known."""
    with gateway.openai() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="plain", messages=ASKED, stream=True
        )
        chunks = list(raw.parse())
    words = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(words) == ANSWER
    assert all(chunk.usage is None for chunk in chunks)
    trace = gateway.trace(raw.headers["x-teachback-trace-id"])
    assert (trace["query"], trace["output"]) == (QUESTION, ANSWER)
    assert (trace["input_tokens"], trace["output_tokens"]) == (11, 3)
    assert 0 < trace["first_token_ms"] <= trace["latency_ms"]
    assert trace["metadata"]["gateway"]["finish_reason"] == "stop"


def test_usage_of_a_stream_reaches_the_client_when_it_asks(gateway: Through) -> None:
    """What the client asks for itself is not taken out."""
    with gateway.openai() as client:
        stream = client.chat.completions.create(
            model="plain", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 14


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_are_passed_and_recorded(gateway: Through, stream: bool) -> None:
    """Name and arguments, in one piece or in many."""
    answer = gateway.chat(stream=stream, tools=TOOLS)
    trace = gateway.trace_of(answer)
    calls = [{"name": "search", "arguments": '{"q": "export"}'}]
    assert trace["metadata"]["gateway"]["tool_calls"] == calls
    assert "search" in trace["output"]
    assert [item["kind"] for item in trace["context"]] == ["tool"]


def test_responses_are_answered_and_recorded(gateway: Through) -> None:
    """Whole and as a stream of events."""
    with gateway.openai() as client:
        raw = client.responses.with_raw_response.create(
            model="plain", input=QUESTION, instructions="Be brief."
        )
        assert raw.parse().output_text == ANSWER
        streamed = client.responses.with_raw_response.create(
            model="plain", input=ASKED, stream=True
        )
        events = list(streamed.parse())
    assert [event.type for event in events][-1] == "response.completed"
    for answer in (raw, streamed):
        trace = gateway.trace(answer.headers["x-teachback-trace-id"])
        assert (trace["query"], trace["output"]) == (QUESTION, ANSWER)
        assert (trace["input_tokens"], trace["output_tokens"]) == (11, 3)
        assert "error" not in trace
    assert (
        gateway.trace(raw.headers["x-teachback-trace-id"])["context"][0]["content"] == "Be brief."
    )


def test_embeddings_pass_unrecorded(gateway: Through) -> None:
    """The client's own base64 wish reaches the provider; nothing is stored."""
    with gateway.openai() as client:
        made = client.embeddings.create(model="plain", input="text", encoding_format="float")
        assert made.data[0].embedding == [0.25, -0.5]
    assert gateway.upstream.last.json["encoding_format"] == "float"
    assert gateway.traces() == []


def test_models_are_listed(gateway: Through) -> None:
    """By both clients, from one address."""
    with gateway.openai() as client:
        assert [model.id for model in client.models.list()] == [MODEL]
        assert client.models.retrieve("org/model-x").id == "org%2Fmodel-x"
    assert gateway.upstream.last.path == "/v1/models/org%2Fmodel-x"
    with gateway.anthropic() as client:
        assert [model.id for model in client.models.list()] == [MODEL]
    assert gateway.upstream.last.headers["x-api-key"] == KEY


def test_messages_are_answered_and_recorded(gateway: Through) -> None:
    """Anthropic's client; tokens read from the cache count as input."""
    with gateway.anthropic() as client:
        raw = client.messages.with_raw_response.create(system="Be brief.", **CLAUDE)
    block: Any = raw.parse().content[0]
    assert block.text == ANSWER
    trace = gateway.trace(raw.headers["x-teachback-trace-id"])
    assert (trace["query"], trace["output"]) == (QUESTION, ANSWER)
    assert (trace["input_tokens"], trace["output_tokens"]) == (11, 3)
    assert trace["context"][0]["content"] == "Be brief."
    assert trace["metadata"]["gateway"]["finish_reason"] == "end_turn"
    sent = gateway.upstream.last.headers
    assert sent["x-api-key"] == KEY
    assert sent["anthropic-version"]


@pytest.mark.parametrize("tool", [False, True])
def test_messages_are_streamed_and_recorded(gateway: Through, tool: bool) -> None:
    """Through the client's own helper, words and tool calls."""
    tools: Any = [{"name": "search", "input_schema": {"type": "object"}}] if tool else []
    with gateway.anthropic() as client, client.messages.stream(**CLAUDE, tools=tools) as stream:
        block: Any = stream.get_final_message().content[0]
        trace_id = stream.response.headers["x-teachback-trace-id"]
    trace = gateway.trace(trace_id)
    assert (trace["input_tokens"], trace["output_tokens"]) == (11, 3)
    if tool:
        assert block.input == {"q": "export"}
        calls = [{"name": "search", "arguments": '{"q": "export"}'}]
        assert trace["metadata"]["gateway"]["tool_calls"] == calls
    else:
        assert block.text == trace["output"] == ANSWER


def test_tokens_are_counted_by_the_provider(gateway: Through) -> None:
    """`count_tokens` passes and leaves no trace."""
    with gateway.anthropic() as client:
        counted = client.messages.count_tokens(model="claude-plain", messages=ASKED)
    assert counted.input_tokens == 14
    assert gateway.upstream.last.path.partition("?")[0] == "/v1/messages/count_tokens"
    assert gateway.traces() == []


def test_asynchronous_clients_work_at_once(gateway: Through) -> None:
    """Many calls of one process beside each other."""

    async def ask() -> list[str | None]:
        key, url = gateway.server.secret_key, f"{gateway.server.url}/v1"
        async with openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0) as client:
            calls = [
                client.chat.completions.create(model="plain", messages=ASKED) for _ in range(20)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [ANSWER] * 20


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "BadRequestError"), (404, "NotFoundError"), (422, "UnprocessableEntityError"),
     (429, "RateLimitError"), (500, "InternalServerError"), (529, "InternalServerError")],
)  # fmt: skip
def test_errors_of_the_provider_are_the_clients_own(
    gateway: Through, status: int, error: str
) -> None:
    """Each client raises what it would raise without us."""
    model = f"status:{status}"
    with gateway.openai() as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=ASKED)
    assert (type(caught.value).__name__, caught.value.status_code) == (error, status)
    assert caught.value.body == {"message": f"no, {status}", "type": "stub_error", "param": None,
                                 "code": None}  # fmt: skip
    with gateway.anthropic() as other, pytest.raises(anthropic.APIStatusError) as raised:
        other.messages.create(**CLAUDE | {"model": f"claude-{model}"})
    assert raised.value.status_code == status
    trace = gateway.trace(caught.value.response.headers["x-teachback-trace-id"])
    assert trace["error"] == f"the model provider answered {status}: no, {status}"


def test_errors_of_ours_are_the_clients_own(gateway: Through) -> None:
    """A wrong key, and a model that nobody serves."""
    with gateway.openai(api_key="tb_sk_wrong") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="plain", messages=ASKED)
    with gateway.anthropic(api_key="x") as other, pytest.raises(anthropic.AuthenticationError):
        other.messages.create(**CLAUDE)
    with (
        gateway.openai(api_key=gateway.server.public_key) as page,
        pytest.raises(openai.PermissionDeniedError),
    ):
        page.chat.completions.create(model="plain", messages=ASKED)
    assert gateway.upstream.seen == []
