"""The SDK and the product together: what an application says is what the API shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import Server
from teachback import Client, DeliveryError


@pytest.fixture
def errors() -> list[DeliveryError]:
    """What the client was told of."""
    return []


@pytest.fixture
def application(server: Server, tmp_path: Path, errors: list[DeliveryError]) -> Client:
    """A client of the running product."""
    return Client(server.url, server.secret_key, spool_dir=tmp_path, on_error=errors.append)


def get(server: Server, path: str) -> Any:
    with server.client() as http:
        answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_trail_is_complete_when_read_back(
    server: Server, application: Client, errors: list[DeliveryError]
) -> None:
    """Query, context, spans, output and all six kinds of feedback come back as they were said."""
    with application.trace(
        "How do I export 👩‍🚀?", user_id="u-7", session_id="s-1", turn=1
    ) as trace:
        trace.system_prompt("Be brief.", name="support", version="7")
        trace.document("Reports, then Export.", name="guide", version="2", score=0.83)
        with trace.span("retrieve", kind="retrieval", input="export") as span:
            span.output = ["guide"]
        trace.output = "Press Export on the old page."
        trace.request_model, trace.input_tokens = "m", 12
        trace.metadata = {"plan": "free"}
    given = application.feedback(trace.id, author="u-7")
    given.thumbs_down().reasons(["outdated"]).comment("It moved.").correct("Press Data.")
    given.annotate("old page", start=20, replacement="new page", comment="renamed")
    given.implicit("copy", 0.4)
    assert application.flush(timeout_s=20)
    application.close()
    assert (errors, application.dropped) == ([], {})
    stored = get(server, f"/v1/traces/{trace.id}")
    assert (stored["query"], stored["output"]) == (trace.query, trace.output)
    assert [(c["name"], c["version"], c["content"]) for c in stored["context"]] == [
        ("support", "7", "Be brief."),
        ("guide", "2", "Reports, then Export."),
    ]
    assert [(s["name"], s["output"]) for s in stored["spans"]] == [("retrieve", '["guide"]')]
    assert stored["metadata"] == {"plan": "free"}
    assert {f["kind"] for f in stored["feedback"]} == {
        "rating", "reasons", "comment", "correction", "annotation", "implicit",
    }  # fmt: skip
    assert {f["author"] for f in stored["feedback"]} == {"u-7"}


def test_feedback_is_gone_when_withdrawn(server: Server, application: Client) -> None:
    """A judgement that was taken back is marked so, and its history stays."""
    trace = application.trace("q")
    trace.end()
    application.feedback(trace.id, author="u-7").thumbs_down()
    application.feedback(trace.id, author="u-7").withdraw("rating")
    assert application.flush(timeout_s=20)
    application.close()
    (rating,) = get(server, f"/v1/traces/{trace.id}")["feedback"]
    assert rating["withdrawn"] is True


def test_token_lets_a_browser_speak_when_signed_here(server: Server, application: Client) -> None:
    """The server takes feedback with a token that the SDK signed without it."""
    trace = application.trace("q")
    trace.end()
    application.flush(timeout_s=20)
    token = application.feedback_token(trace.id, user_id="u-7")
    application.close()
    body = {"kind": "rating", "trace_id": trace.id, "score": 1, "scale": "thumbs"}
    with server.client(server.public_key, **{"teachback-token": token}) as browser:
        assert browser.post("/v1/feedback", json=body).status_code == 201
    (rating,) = get(server, f"/v1/traces/{trace.id}")["feedback"]
    assert rating["author"] == "u-7"


def test_refused_record_is_told_when_its_neighbours_are_stored(
    server: Server, application: Client, errors: list[DeliveryError]
) -> None:
    """A score outside its scale is refused alone, and the application learns why."""
    application.feedback("t-1").rating(9, scale="stars").comment("still here")
    assert application.flush(timeout_s=20)
    application.close()
    assert [(e.reason, e.kind) for e in errors] == [("invalid", "feedback")]
    assert "score" in errors[0].message
    assert application.dropped == {("rejected", "feedback"): 1}
    assert [f["kind"] for f in get(server, "/v1/feedback")["data"]] == ["comment"]


def test_losses_are_in_the_metrics_when_reported(server: Server, tmp_path: Path) -> None:
    """What the client dropped is added to the server's counters."""
    client = Client(server.url, server.secret_key, spool_dir=tmp_path)
    client.trace("x" * 5_000_000).end()
    client.trace("q").end()
    assert client.flush(timeout_s=20)
    client.close()
    with server.client() as http:
        metrics = http.get("/metrics").text
    lines = [line for line in metrics.splitlines() if "client_dropped_total{" in line]
    assert any("too_large" in line and "trace" in line for line in lines)


def test_everything_is_taken_when_objects_are_strange(
    server: Server, application: Client, errors: list[DeliveryError]
) -> None:
    """What rendering makes of hostile values, the product stores."""
    with application.trace({"a": {1, 2}}, user_id="", environment="staging") as trace:
        trace.document("a\ud800b\x00c", name="x" * 400, version="v")
        trace.output = b"\xff"
        trace.metadata = {"nan": float("nan"), "big": 2**80, "d": {"e": object()}}
        trace.tags = ["t" * 300] * 100
    assert application.flush(timeout_s=20)
    application.close()
    assert errors == []
    assert get(server, f"/v1/traces/{trace.id}")["output"] == "<1 bytes>"
