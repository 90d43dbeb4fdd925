"""One bad record never rejects its neighbours, and size alone is no reason to fail."""

from __future__ import annotations

import threading
from typing import Any

from support.wire import Wire, rating, trace


def test_neighbours_are_stored_when_one_item_in_a_thousand_is_poison(wire: Wire) -> None:
    """999 are stored; index and reason come back for the one."""
    items = [trace() for _ in range(1_000)]
    items[400] = trace(environment="moon")
    answer = wire.post("/v1/traces", {"data": items})
    assert answer.status == 207
    assert (answer.json["stored"], answer.json["rejected"]) == (999, 1)
    bad = [item for item in answer.json["data"] if item["status"] == "rejected"]
    assert [item["index"] for item in bad] == [400]
    assert bad[0]["error"]["field"] == "environment"
    assert wire.trace(items[401]["id"])["query"] == items[401]["query"]


def test_neighbours_are_stored_when_several_kinds_of_poison_meet(wire: Wire) -> None:
    """Every rule that can break is answered for by its own item."""
    poison: list[Any] = [
        {}, [], None, 7, "x", {"query": 5}, {"query": "q", "id": ""}, {"query": "q", "turn": 0},
        {"query": "q", "started_at": "yesterday"}, {"query": "q", "latency_ms": -1},
        {"query": "q", "unknown": 1}, {"query": "q", "started_at": "0000-00-00T00:00:00Z"},
        {"query": "q", "context": [{"kind": "document", "content_hash": "sha256:zz"}]},
        {"query": "q", "spans": [{"id": "a", "name": "a"}, {"id": "a", "name": "b"}]},
    ]  # fmt: skip
    good = [trace() for _ in poison]
    mixed = [item for pair in zip(poison, good, strict=True) for item in pair]
    answer = wire.post("/v1/traces", {"data": mixed})
    assert answer.status == 207
    statuses = [item["status"] for item in answer.json["data"]]
    assert statuses == ["rejected", "stored"] * len(poison)


def test_neighbours_are_stored_when_times_are_out_of_range(wire: Wire) -> None:
    """The first and last years of the calendar are stored or refused alone."""
    odd = [
        trace(started_at=at)
        for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59:59Z")
    ]
    good = trace()
    answer = wire.post("/v1/traces", {"data": [*odd, good]})
    assert answer.status in {200, 207}
    assert answer.json["data"][-1]["status"] == "stored"


def test_strangers_are_stored_when_their_commit_is_shared_with_poison(wire: Wire) -> None:
    """Requests that arrive together share a commit, never a failure."""
    statuses: dict[int, list[int]] = {0: [], 1: []}

    def send(number: int) -> None:
        record = trace(environment="moon") if number % 4 == 0 else trace()
        statuses[int(number % 4 == 0)].append(wire.post("/v1/traces", record).status)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(40)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert statuses == {0: [201] * 30, 1: [400] * 10}


def test_reason_is_told_to_the_sender_without_the_content(wire: Wire) -> None:
    """An error names field, rule and fix; what a user wrote is not repeated at length."""
    secret = "my card number is 4111" * 50
    answer = wire.post("/v1/traces", {"query": secret, "turn": secret})
    assert answer.status == 400
    assert answer.error["field"] == "turn"
    assert secret not in answer.body.decode()


def test_trace_of_ten_thousand_spans_is_stored_and_opens(wire: Wire) -> None:
    """Long agent runs come back complete and in order."""
    spans = [
        {"id": f"s{number}", "name": "step", "parent_id": f"s{number - 1}" if number else None}
        for number in range(10_000)
    ]
    sent = trace(spans=spans)
    assert wire.post("/v1/traces", sent).status == 201
    assert [span["id"] for span in wire.trace(sent["id"])["spans"]] == [s["id"] for s in spans]
    assert wire.get("/v1/traces?limit=5").status == 200


def test_large_texts_are_stored_whole(wire: Wire) -> None:
    """Megabytes of answer, of context and of comment are text like any other."""
    text = "All work and no play makes a dull answer. " * 90_000
    sent = trace(output=text, context=[{"kind": "document", "name": "d", "content": text}])
    assert wire.post("/v1/traces", sent).status == 201
    kept = wire.trace(sent["id"])
    assert (kept["output"], kept["context"][0]["content"]) == (text, text)
    judged = rating(sent["id"], comment=text)
    assert wire.post("/v1/feedback", judged).status == 201
    assert wire.feedback(judged["id"])["comment"] == text
