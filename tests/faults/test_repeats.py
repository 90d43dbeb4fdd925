"""What is sent again is stored once; what contradicts is said."""

from __future__ import annotations

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.wire import Answer, Wire, rating, trace


def test_one_record_is_kept_when_sent_a_hundred_times_at_once(wire: Wire) -> None:
    """A hundred successes, one `stored`, one row."""
    sent = trace()
    with ThreadPoolExecutor(50) as senders:
        answers = list(senders.map(lambda _: wire.post("/v1/traces", sent), range(100)))
    assert {answer.json["id"] for answer in answers} == {sent["id"]}
    assert sorted(answer.status for answer in answers) == [200] * 99 + [201]
    assert wire.trace(sent["id"])["query"] == sent["query"]


def test_one_judgement_is_kept_when_sent_a_hundred_times_at_once(wire: Wire) -> None:
    """Feedback too: one record, no history of itself."""
    asked = trace()
    wire.post("/v1/traces", asked)
    judged = rating(asked["id"])
    with ThreadPoolExecutor(50) as senders:
        answers = list(senders.map(lambda _: wire.post("/v1/feedback", judged), range(100)))
    assert sorted(answer.status for answer in answers) == [200] * 99 + [201]
    assert wire.feedback(judged["id"])["history"] == []


def test_first_record_is_kept_when_its_id_comes_with_other_content(wire: Wire) -> None:
    """409 to the second, and the first as it was."""
    first = trace()
    assert wire.post("/v1/traces", first).status == 201
    answer = wire.post("/v1/traces", first | {"output": "Something else."})
    assert (answer.status, answer.error["type"]) == (409, "conflict")
    assert wire.trace(first["id"])["output"] == first["output"]


def test_conflict_is_the_items_alone_when_in_a_list(wire: Wire) -> None:
    """The neighbours of a conflict are stored."""
    first = trace()
    wire.post("/v1/traces", first)
    answer = wire.post("/v1/traces", {"data": [first | {"output": "x"}, trace(), first]})
    assert answer.status == 207
    assert [item["status"] for item in answer.json["data"]] == ["conflict", "stored", "duplicate"]


def test_repeats_within_one_list_are_stored_once(wire: Wire) -> None:
    """The same item twice in a request is one record."""
    sent = trace()
    answer = wire.post("/v1/traces", {"data": [sent, sent, sent]})
    assert [item["status"] for item in answer.json["data"]] == ["stored", "duplicate", "duplicate"]


def _keyed(wire: Wire, key: str, body: Any, path: str = "/v1/traces") -> Answer:
    return wire.post(path, body, {"Idempotency-Key": key})


def test_first_answer_is_replayed_when_the_idempotency_key_comes_again(wire: Wire) -> None:
    """A record without an id is stored once, and its id is told again."""
    key, body = str(uuid.uuid4()), {"query": "q"}
    first, second = _keyed(wire, key, body), _keyed(wire, key, body)
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/feedback"])
def test_idempotency_key_is_refused_when_the_request_is_another(wire: Wire, path: str) -> None:
    """422 for another body and for another route."""
    key = str(uuid.uuid4())
    assert _keyed(wire, key, {"query": "q"}).status == 201
    answer = _keyed(wire, key, {"query": "other"}, path)
    assert (answer.status, answer.error["type"]) == (422, "idempotency_mismatch")


def test_idempotency_key_is_refused_when_too_long(wire: Wire) -> None:
    """255 characters are a key, 256 are an error."""
    assert _keyed(wire, "k" * 256, {"query": "q"}).status == 400
    assert _keyed(wire, uuid.uuid4().hex.ljust(255, "k"), {"query": "q"}).status == 201


def test_idempotency_key_is_free_again_when_the_request_was_invalid(wire: Wire) -> None:
    """Failed validation is not remembered: mending the body is enough."""
    key = str(uuid.uuid4())
    assert _keyed(wire, key, {"query": 5}).status == 400
    assert _keyed(wire, key, {"query": "q"}).status == 201


def test_one_record_is_stored_when_one_idempotency_key_comes_many_times_at_once(wire: Wire) -> None:
    """Concurrent repeats are replayed or told to wait; they never store twice."""
    key, session = str(uuid.uuid4()), str(uuid.uuid4())
    body = {"query": "q", "session_id": session}
    with ThreadPoolExecutor(20) as senders:
        answers = list(senders.map(lambda _: _keyed(wire, key, body), range(40)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len(wire.get(f"/v1/traces?session_id={session}").json["data"]) == 1


def test_feedback_waits_for_its_trace_when_it_comes_first(wire: Wire) -> None:
    """Stored, listed as unmatched, and joined when the trace arrives."""
    asked = trace()
    judged = rating(asked["id"])
    assert wire.post("/v1/feedback", judged).status == 201
    assert judged["id"] in _unmatched(wire, asked["id"])
    assert wire.post("/v1/traces", asked).status == 201
    assert [one["id"] for one in wire.trace(asked["id"])["feedback"]] == [judged["id"]]
    assert _unmatched(wire, asked["id"]) == []


def _unmatched(wire: Wire, trace_id: str) -> list[str]:
    listed = wire.get(f"/v1/feedback?unmatched=true&trace_id={trace_id}").json["data"]
    return [one["id"] for one in listed]


def test_feedback_is_kept_when_its_target_never_comes(wire: Wire) -> None:
    """Nothing is dropped for want of a trace, span or session."""
    nowhere = trace()["id"]
    items = [
        rating(nowhere),
        rating(nowhere, span_id="s1"),
        {k: v for k, v in rating("x").items() if k != "trace_id"} | {"session_id": nowhere},
    ]
    answer = wire.post("/v1/feedback", {"data": items})
    assert (answer.status, answer.json["stored"]) == (200, 3)
    assert [wire.feedback(item["id"])["id"] for item in items] == [item["id"] for item in items]


@pytest.mark.parametrize("seed", range(24))
def test_final_state_is_the_same_in_every_order(wire: Wire, seed: int) -> None:
    """A trace, three ratings of one author and a withdrawal: order of arrival does not matter."""
    asked = trace()
    items = [
        ("/v1/traces", asked),
        *(("/v1/feedback", judged) for judged in _changing_mind(asked["id"])),
    ]
    random.Random(seed).shuffle(items)
    with ThreadPoolExecutor(2) as writers:  # two writers, each with a part of the items
        answers = list(writers.map(lambda item: wire.post(*item), items))
    assert {answer.status for answer in answers} == {201}
    (kept,) = wire.trace(asked["id"])["feedback"]
    assert (kept.get("score"), kept["withdrawn"]) == (None, True)
    assert [earlier["score"] for earlier in kept["history"]] in ([0, 1, 0], [0, 1, 0][::-1])


def _changing_mind(trace_id: str) -> list[dict[str, Any]]:
    at = "2026-05-01T10:00:0{}Z".format
    ratings = [
        rating(trace_id, author="alice", score=score, occurred_at=at(number))
        for number, score in enumerate((0, 1, 0))
    ]
    taken_back = {
        "id": trace()["id"], "kind": "rating", "trace_id": trace_id, "author": "alice",
        "withdrawn": True, "occurred_at": at(9),
    }  # fmt: skip
    return [*ratings, taken_back]


def test_what_was_accepted_is_read_at_once(wire: Wire) -> None:
    """2xx means that the next GET finds it, alone and in the lists."""
    for _ in range(20):
        asked = trace(session_id=str(uuid.uuid4()))
        assert wire.post("/v1/traces", asked).status == 201
        assert wire.trace(asked["id"])["id"] == asked["id"]
        listed = wire.get(f"/v1/traces?session_id={asked['session_id']}").json["data"]
        assert [one["id"] for one in listed] == [asked["id"]]


def test_times_are_corrected_when_the_senders_clock_is_wrong(wire: Wire) -> None:
    """A device three years behind says when it sends; its times move by the difference."""
    asked = trace(started_at="2023-05-01T10:00:00Z")
    body = {"traces": [asked], "feedback": [], "sent_at": "2023-05-01T10:00:30Z"}
    assert wire.post("/v1/batch", body).status == 200
    kept = datetime.fromisoformat(wire.trace(asked["id"])["started_at"])
    assert timedelta(seconds=25) < datetime.now(UTC) - kept < timedelta(seconds=90)


def test_no_client_sees_an_error_when_many_write_and_read_the_same(wire: Wire) -> None:
    """Writers that change one judgement in opposite orders, with readers between them."""
    asked = [trace(session_id="shared-session") for _ in range(8)]
    assert wire.post("/v1/traces", {"data": asked}).status == 200

    def act(number: int) -> int:
        if number % 5 == 0:
            return wire.get(f"/v1/traces/{asked[number % 8]['id']}").status
        targets = asked if number % 2 else asked[::-1]
        judged = [rating(one["id"], author="alice", score=number % 2) for one in targets]
        return wire.post("/v1/feedback", {"data": judged}).status

    with ThreadPoolExecutor(32) as clients:
        assert set(clients.map(act, range(320))) == {200}
