"""What an application says about a call becomes fields of its trace, and leads nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from support.gateway import ASKED, QUESTION, Through, gateway, shared_gateway

__all__ = ["gateway", "shared_gateway"]

HEADERS = {
    "x-teachback-user": "u-7", "x-teachback-session": "s-1", "x-teachback-turn": "3",
    "x-teachback-role": "admin", "x-teachback-surface": "web chat", "x-teachback-locale": "de-AT",
    "x-teachback-environment": "test", "x-teachback-release": "2.1",
    "x-teachback-prompt": "support", "x-teachback-prompt-version": "7",
    "x-teachback-tags": "beta, Gr%C3%BCn ,",
}  # fmt: skip
SYSTEM: Any = [{"role": "system", "content": "You help."}, *ASKED]


def ask(gateway: Through, headers: dict[str, str], **body: Any) -> Any:
    """Ask through OpenAI's client; return the raw answer and its trace."""
    with gateway.openai() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="plain", messages=SYSTEM, extra_headers=headers, extra_body=body
        )
    return raw, gateway.trace(raw.headers["x-teachback-trace-id"])


def test_headers_become_fields(gateway: Through) -> None:
    """All of them; none reaches the provider."""
    answer = gateway.post("/v1/chat/completions", {"model": "plain", "messages": SYSTEM}, **HEADERS)
    trace = gateway.trace_of(answer)
    assert (trace["user_id"], trace["session_id"], trace["turn"]) == ("u-7", "s-1", 3)
    assert (trace["role"], trace["surface"], trace["locale"]) == ("admin", "web chat", "de-AT")
    assert (trace["environment"], trace["release"]) == ("test", "2.1")
    assert trace["tags"] == ["beta", "Grün"]
    prompt = trace["context"][0]
    assert (prompt["kind"], prompt["name"], prompt["version"]) == ("system_prompt", "support", "7")
    assert not [name for name in gateway.upstream.last.headers if "teachback" in name]


def test_body_says_the_same_where_headers_are_silent(gateway: Through) -> None:
    """OpenAI's `user` and `metadata`; a header goes before them."""
    metadata = {"session_id": "s-2", "environment": "dev", "role": "guest", "ticket": "t-9"}
    _, trace = ask(gateway, {"x-teachback-role": "admin"}, user="u-8", metadata=metadata)
    assert (trace["user_id"], trace["session_id"]) == ("u-8", "s-2")
    assert (trace["environment"], trace["role"]) == ("dev", "admin")
    assert trace["metadata"]["ticket"] == "t-9"
    assert gateway.upstream.last.json["metadata"] == metadata


def test_end_user_of_messages_is_known(gateway: Through) -> None:
    """Anthropic's `metadata.user_id`."""
    trace = gateway.trace_of(gateway.messages(metadata={"user_id": "u-9"}))
    assert trace["user_id"] == "u-9"


def test_call_passes_when_what_it_says_cannot_be_used(gateway: Through) -> None:
    """Left out, and named; long words are cut."""
    strange = {"x-teachback-environment": "staging", "x-teachback-turn": "-1",
               "x-teachback-colour": "red", "x-teachback-user": "u" * 999}  # fmt: skip
    raw, trace = ask(gateway, strange, metadata={"environment": 7, "deep": {"a": [1]}}, user=5)
    ignored = set(raw.headers["x-teachback-ignored"].split(", "))
    assert ignored == {"environment", "turn", "colour"}
    assert trace["user_id"] == "u" * 256
    assert trace["environment"] == "prod"
    assert trace["metadata"]["deep"] == {"a": [1]}


@pytest.mark.parametrize("kind", ["chat", "responses", "messages"])
def test_context_stack_is_recorded(gateway: Through, kind: str) -> None:
    """System prompt, earlier turns, tools and their results, in the order given."""
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": QUESTION},
    ]
    if kind == "messages":
        used = {"type": "tool_use", "id": "t", "name": "search", "input": {"q": "x"}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "Found it."}
        more = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
        answer = gateway.messages(messages=[*turns, *more], system=[{"type": "text", "text": "S"}])
    elif kind == "chat":
        answer = gateway.chat(messages=[{"role": "developer", "content": "S"}, *turns])
    else:
        body = {"model": "plain", "input": turns, "instructions": "S"}
        answer = gateway.post("/v1/responses", body)
    trace = gateway.trace_of(answer)
    layers = [(item["kind"], item.get("name", ""), item["content"]) for item in trace["context"]]
    assert layers[:3] == [
        ("system_prompt", "", "S"), ("message", "user", "Hello"), ("message", "assistant", "Yes?")
    ]  # fmt: skip
    assert trace["query"] == QUESTION
    if kind == "messages":
        assert layers[3][2] == '{"name":"search","input":{"q":"x"}}'
        assert layers[4] == ("message", "user", "Found it.")


def test_feedback_can_be_given_with_what_the_answer_carries(gateway: Through) -> None:
    """The token lets a browser speak about this answer, as this end user."""
    answer = gateway.chat(user="u-7")
    trace_id = answer.headers["x-teachback-trace-id"]
    token = {"teachback-token": answer.headers["x-teachback-feedback-token"]}
    said = {"kind": "rating", "trace_id": trace_id, "score": 0, "scale": "thumbs", "id": "f-1"}
    with gateway.server.client(gateway.server.public_key, **token) as page:
        assert page.post("/v1/feedback", json=said).status_code == 201
    with gateway.server.client() as client:
        assert client.get("/v1/feedback/f-1").json()["author"] == "u-7"
