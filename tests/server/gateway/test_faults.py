"""Providers fail in every way, and clients are told so in their own words."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from support.gateway import ASKED, Through, gateway, hasty_gateway, shared_gateway, wait_for
from support.upstream import ANSWER, HEADERS, KEY

__all__ = ["gateway", "hasty_gateway", "shared_gateway"]

CLAUDE: Any = {"max_tokens": 100, "messages": ASKED}


def read_stream(through: Through, model: str) -> tuple[str, str, BaseException | None]:
    """Read a stream with OpenAI's client: its words, its trace, and what it raises."""
    words = ""
    with through.openai() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=model, messages=ASKED, stream=True
        )
        trace_id = raw.headers["x-teachback-trace-id"]
        try:
            for chunk in raw.parse():
                words += chunk.choices[0].delta.content or ""
        except openai.APIError as error:
            return words, trace_id, error
    return words, trace_id, None


@pytest.mark.parametrize("model", ["dies", "ends"])
def test_broken_stream_is_no_whole_answer(gateway: Through, model: str) -> None:
    """The client raises instead of ending early; the part it got is recorded with the error."""
    words, trace_id, error = read_stream(gateway, model)
    assert error is not None
    trace = gateway.trace(trace_id)
    assert words == trace["output"]
    assert ANSWER.startswith(words)
    assert "model provider" in trace["error"]
    raw = gateway.chat(model, stream=True)
    assert b"[DONE]" not in raw.content
    assert raw.content.rstrip().rpartition(b"data: ")[2].startswith(b'{"error":{')
    with gateway.anthropic() as client, pytest.raises(anthropic.APIError):  # noqa: SIM117
        with client.messages.stream(model=f"claude-{model}", **CLAUDE) as stream:
            stream.until_done()
    assert b"event: error\ndata: " in gateway.messages(f"claude-{model}", stream=True).content


def test_silent_provider_is_given_up(hasty_gateway: Through) -> None:
    """Inside a stream: an error in it. Before an answer: 504, and no second try that pays twice."""
    words, trace_id, error = read_stream(hasty_gateway, "stalls")
    assert words
    assert error is not None
    assert "silent for 1 seconds" in hasty_gateway.trace(trace_id)["error"]
    answer = hasty_gateway.chat("silent")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    assert answer.json()["error"]["code"] == "upstream"
    assert "did not answer" in hasty_gateway.trace_of(answer)["error"]
    with hasty_gateway.anthropic() as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="claude-silent", **CLAUDE)
    assert caught.value.body == {
        "type": "error",
        "error": {
            "type": "timeout_error",
            "message": "the model provider 'claude' did not answer within 1 seconds",
        },
    }


@pytest.mark.parametrize(
    ("model", "status", "said"),
    [("dies", 502, "closed the connection inside"), ("closes", 502, "without an answer"),
     ("garbage", 502, "no HTTP"), ("gone", 502, "cannot be reached"),
     ("redirects", 502, "redirects"), ("unauthorized", 502, "refuses the key")],
)  # fmt: skip
def test_broken_answer_is_an_error(gateway: Through, model: str, status: int, said: str) -> None:
    """502 in the client's own words, recorded, and sent to the provider once at most."""
    answer = gateway.chat(model)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "server_error")
    assert said in answer.json()["error"]["message"]
    assert "location" not in answer.headers
    assert KEY[:6] not in answer.text
    assert said in gateway.trace_of(answer)["error"]
    assert len(gateway.upstream.seen) == (0 if model == "gone" else 1)


def test_clients_own_retries_work(gateway: Through) -> None:
    """The provider that cannot be reached is tried again, because nothing was sent."""
    with gateway.openai(max_retries=1) as client, pytest.raises(openai.InternalServerError) as got:
        client.chat.completions.create(model="gone", messages=ASKED)
    assert got.value.response.request.headers["x-stainless-retry-count"] == "1"


def test_answers_of_providers_are_unchanged(gateway: Through) -> None:
    """Status, body and headers of an error, byte by byte; so are good ones."""
    with httpx2.Client(base_url=gateway.upstream.url) as direct:
        for model, status in (("status:429", 429), ("status:503", 503), ("plain", 200)):
            body = {"model": model, "messages": ASKED}
            theirs = direct.post("/v1/chat/completions", json=body)
            ours = gateway.chat(model)
            assert (ours.status_code, ours.content) == (status, theirs.content)
            kept = {*HEADERS, "content-type", "retry-after-ms", "x-should-retry"}
            for name in kept & set(theirs.headers):
                assert ours.headers[name] == theirs.headers[name]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_streams_are_unchanged(gateway: Through, path: str) -> None:
    """Byte by byte, unknown fields included."""
    body = {"model": "plain", "messages": ASKED, "input": "x", "stream": True}
    with httpx2.Client(base_url=gateway.upstream.url) as direct:
        theirs = direct.post(path, json=body)
    assert gateway.post(path, body).content == theirs.content


def test_requests_are_unchanged(gateway: Through) -> None:
    """Spaces, order, numbers, unknown fields, images and doubled keys: the bytes that were sent."""
    raw = (
        b'{ "model" : "plain","n":2, "x_new":{"deep":[1e40, 12345678901234567890123]},'
        b'"messages":[{"role":"user","content":[{"type":"image_url","image_url":'
        b'{"url":"data:image/png;base64,AAAA"}}]}],"temperature":0.70,"temperature":0.7}'
    )
    assert gateway.post("/v1/chat/completions", raw).status_code == 200
    assert gateway.upstream.last.raw == raw
    asked = raw[:-1] + b',"stream":true, "stream_options":{"a":1.50}}'
    gateway.post("/v1/chat/completions", asked)
    sent = gateway.upstream.last.raw
    assert b'"x_new":{"deep":[1e40, 12345678901234567890123]}' in sent
    assert b'"stream_options":{"a":1.50,"include_usage":true}' in sent


def test_half_a_character_passes(gateway: Through) -> None:
    """A lone surrogate, which some clients cut texts to, is the provider's to judge."""
    raw = b'{"model":"plain","messages":[{"role":"user","content":"half \\ud83d"}]}'
    answer = gateway.post("/v1/chat/completions", raw)
    assert gateway.upstream.last.raw == raw
    assert gateway.trace_of(answer)["query"] == "half \ufffd"


def test_strange_events_pass_unread(gateway: Through) -> None:
    """What is no JSON, comments, and events without data stay in the stream."""
    with httpx2.Client(base_url=gateway.upstream.url) as direct:
        body = {"model": "malformed", "messages": ASKED, "stream": True}
        theirs = direct.post("/v1/chat/completions", json=body)
    ours = gateway.chat("malformed", stream=True)
    assert ours.content == theirs.content
    trace = gateway.trace_of(ours)
    assert (trace["output"], trace["metadata"]["gateway"]["unreadable"]) == (ANSWER, 1)


def test_stream_is_read_whatever_its_pieces(gateway: Through) -> None:
    """Each byte in a chunk of its own, with CR LF: both clients read their events."""
    words, trace_id, error = read_stream(gateway, "bytewise")
    assert (words, error) == (ANSWER, None)
    assert gateway.trace(trace_id)["output_tokens"] == 3
    with gateway.anthropic() as client:  # noqa: SIM117
        with client.messages.stream(model="claude-bytewise", **CLAUDE) as stream:
            assert stream.get_final_text() == ANSWER


def test_provider_that_knows_no_usage_is_asked_without(gateway: Through) -> None:
    """Refused once, for what we had added; from then on it is left out."""
    for _ in range(2):
        words, trace_id, error = read_stream(gateway, "simple")
        assert (words, error) == (ANSWER, None)
        assert "output_tokens" not in gateway.trace(trace_id)
    asked = ["stream_options" in seen.json for seen in gateway.upstream.seen]
    assert asked in ([True, False, False], [False, False])


def test_answer_of_a_wrong_kind_passes(gateway: Through) -> None:
    """It is the client's to judge, and a failure in the record."""
    answer = gateway.chat("html")
    assert (answer.status_code, answer.text) == (200, "<html>busy</html>")
    assert gateway.trace_of(answer)["error"].endswith("what is no answer (text/html)")
    assert gateway.chat("html", stream=True).text == "<html>busy</html>"


@pytest.mark.parametrize("stream", [False, True])
def test_compressed_answers_are_read(gateway: Through, stream: bool) -> None:
    """Although nobody had asked for it."""
    answer = gateway.chat("zipped", stream=stream)
    assert ANSWER.split()[0] in answer.text
    assert gateway.trace_of(answer)["output"] == ANSWER


def test_long_answer_passes_in_pieces(gateway: Through) -> None:
    """Memory is bounded; its text is not recorded."""
    answer = gateway.chat("long")
    assert len(answer.json()["choices"][0]["message"]["content"]) == 9_000_000
    assert gateway.trace_of(answer)["metadata"]["gateway"]["unreadable"] == 1


@pytest.mark.parametrize("kind", ["chat", "messages"])
def test_upstream_is_closed_when_the_client_leaves(gateway: Through, kind: str) -> None:
    """Inside a stream; what was sent until then is recorded as aborted."""
    body = {"model": "endless", "messages": ASKED, "stream": True}
    path = "/v1/chat/completions" if kind == "chat" else "/v1/messages"
    with gateway.server.client() as client, client.stream("POST", path, json=body) as answer:
        trace_id = answer.headers["x-teachback-trace-id"]
        next(answer.iter_bytes())
    left = time.monotonic()
    noticed = wait_for(lambda: gateway.upstream.left)[0]
    assert noticed - left < 5  # a second, on a machine that does nothing else
    trace = gateway.trace(trace_id)
    assert trace["output"].startswith("more more")
    assert trace["error"].startswith("aborted: the client left")


def test_upstream_is_closed_when_the_client_leaves_before_the_answer(gateway: Through) -> None:
    """A client that gives up waiting is not paid for any longer."""
    with gateway.openai(timeout=0.5) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="silent", messages=ASKED)
    assert wait_for(lambda: gateway.upstream.left)
    (trace,) = wait_for(gateway.traces)
    assert trace["error"].startswith("aborted")


def test_provider_is_held_back_when_the_client_is_slow(gateway: Through) -> None:
    """Nothing piles up here: a reader who stops reading stops the writer."""
    body = json.dumps({"model": "flood", "messages": ASKED, "stream": True})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {gateway.server.secret_key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    port = int(gateway.server.url.rpartition(":")[2])
    gateway.upstream.poured = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall((head + body).encode())
        connection.recv(100)
        before = -1
        while gateway.upstream.poured != before:
            before = gateway.upstream.poured
            time.sleep(0.7)
    # What the buffers of the system hold, twice, and little of ours.
    assert 0 < before < 32 * 2**20


def test_body_is_refused_when_too_large(gateway: Through) -> None:
    """In the words of the protocol, before it was read to its end."""
    with gateway.openai() as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model="plain", messages=[{"role": "user", "content": "x" * 2**21}]
        )
    assert caught.value.status_code == 413
    with gateway.anthropic() as other, pytest.raises(anthropic.RequestTooLargeError):
        other.messages.create(
            model="claude-plain", max_tokens=1, messages=[{"role": "user", "content": "x" * 2**21}]
        )


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"model":5}', b'{"messages":[]}', b'{"a":' * 20_000, b"\xff"]
)
def test_body_is_refused_when_it_is_no_request(gateway: Through, raw: bytes) -> None:
    """400, and the provider hears nothing of it."""
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/responses"):
        answer = gateway.post(path, raw)
        assert (answer.status_code, answer.json()["error"]["type"]) == (
            400, "invalid_request_error",
        )  # fmt: skip
    assert gateway.upstream.seen == []


@pytest.mark.parametrize(
    "messages", [None, 5, "x", [], [5], [None, []], [{"role": 5}], [{"content": {"a": 1}}]]
)
def test_strange_conversations_pass(gateway: Through, messages: Any) -> None:
    """The provider judges them; we read what there is."""
    answer = gateway.chat(messages=messages)
    assert answer.status_code == 200
    assert gateway.trace_of(answer)["output"] == ANSWER
    assert gateway.messages(messages=messages).status_code == 200
    assert gateway.post("/v1/responses", {"model": "m", "input": messages}).status_code == 200
