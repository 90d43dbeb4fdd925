"""The API as an engineer meets it: write, read back, and what happens to bad records."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import psycopg
import pytest

from conftest import Server
from teachback.core import tokens
from tests_support import rating, trace


def test_trail_reads_back_as_sent(client: httpx2.Client) -> None:
    """A trace comes back with every field it was sent with."""
    sent = trace(
        "t-1",
        session_id="s-1",
        turn=2,
        context=[
            {"kind": "system_prompt", "name": "support", "version": "7", "content": "Be kind."},
            {"kind": "document", "name": "guide", "version": "2", "content": "Öl 🙂", "score": 0.5},
        ],
        spans=[{"id": "a", "name": "retrieve", "output": "guide", "metadata": {"k": 3}}],
        tags=["x", "y"],
        metadata={"plan": "pro", "seats": 12, "ratio": 0.25, "nested": {"list": [1, None, "é"]}},
    )
    assert client.post("/v1/traces", json=sent).json() == {"id": "t-1", "status": "stored"}
    found = client.get("/v1/traces/t-1").json()
    assert {name: found[name] for name in sent if name not in ("context", "started_at")} == {
        name: sent[name] for name in sent if name not in ("context", "started_at")
    } | {"spans": [sent["spans"][0] | {"kind": ""}]}
    contents = [(item["name"], item["version"], item["content"]) for item in found["context"]]
    assert contents == [("support", "7", "Be kind."), ("guide", "2", "Öl 🙂")]


def test_batch_stores_neighbours_of_a_bad_record(client: httpx2.Client) -> None:
    """One bad record in a list is refused by itself, with the value, the rule and the fix."""
    good, bad = rating("t-1", 1), rating("t-1", 1) | {"score": 3}
    answer = client.post("/v1/feedback", json={"data": [bad, good | {"author": "bob"}]})
    assert answer.status_code == 207
    body = answer.json()
    assert [item["status"] for item in body["data"]] == ["rejected", "stored"]
    assert body["data"][0]["error"]["field"] == "score"
    assert body["data"][0]["error"]["value"] == "3.0"
    assert "0 or 1" in body["data"][0]["error"]["rule"]


def test_same_record_again_is_a_duplicate_and_another_a_conflict(client: httpx2.Client) -> None:
    """Idempotent by the client's id; the first content is kept."""
    first = trace("t-1")
    answers = [
        client.post("/v1/traces", json=body) for body in (first, first, trace("t-1", query="x"))
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert client.get("/v1/traces/t-1").json()["query"] == first["query"]


def test_later_judgement_replaces_and_keeps_the_earlier(client: httpx2.Client) -> None:
    """The current judgement is the latest by its own time, whatever arrives last."""
    client.post("/v1/traces", json=trace("t-1"))
    times = ["2026-03-01T12:00:02Z", "2026-03-01T12:00:03Z", "2026-03-01T12:00:01Z"]
    for score, at in zip((0, 1, 0), times, strict=True):
        body = rating("t-1", score, author="bob", occurred_at=at, id=f"f-{at[-3:-1]}")
        assert client.post("/v1/feedback", json=body).status_code == 201
    found = client.get("/v1/feedback/f-01").json()
    assert (found["id"], found["score"]) == ("f-03", 1.0)
    assert [earlier["id"] for earlier in found["history"]] == ["f-01", "f-02"]
    listed = client.get("/v1/feedback").json()["data"]
    assert [item["id"] for item in listed] == ["f-03"]


def test_feedback_waits_for_its_trace(client: httpx2.Client) -> None:
    """Feedback may come first; it is listed as unmatched until its trace is there."""
    client.post("/v1/feedback", json=rating("t-9", 0))
    assert len(client.get("/v1/feedback?unmatched=true").json()["data"]) == 1
    client.post("/v1/traces", json=trace("t-9"))
    assert client.get("/v1/feedback?unmatched=true").json()["data"] == []
    assert len(client.get("/v1/traces/t-9").json()["feedback"]) == 1


def test_withdrawal_appends(client: httpx2.Client) -> None:
    """Taking a judgement back keeps it in the history."""
    client.post("/v1/feedback", json=rating("t-1", 0, id="f-1", author="bob"))
    taken = client.post("/v1/feedback/f-1/withdraw", json={"author": "bob"}).json()
    assert taken["withdrawn"] is True
    found = client.get("/v1/feedback/f-1").json()
    assert found["withdrawn"] is True
    assert [earlier["id"] for earlier in found["history"]] == ["f-1"]
    assert client.post("/v1/feedback/f-1/withdraw", json={"author": "eve"}).status_code == 403
    assert client.get("/v1/feedback").json()["data"] == []
    assert len(client.get("/v1/feedback?withdrawn=true").json()["data"]) == 1


def test_correction_carries_its_tracked_change(client: httpx2.Client) -> None:
    """The stored change, applied to the output, gives the correction exactly."""
    client.post("/v1/traces", json=trace("t-1", output="It costs 10 euro."))
    body = {
        "id": "f-1",
        "kind": "correction",
        "trace_id": "t-1",
        "correction": "It costs 12 euros!",
    }
    client.post("/v1/feedback", json=body)
    changes = client.get("/v1/feedback/f-1").json()["changes"]
    assert "".join(text for op, text in changes if op != "-") == "It costs 12 euros!"
    assert "".join(text for op, text in changes if op != "+") == "It costs 10 euro."


def test_annotation_keeps_a_thread(client: httpx2.Client) -> None:
    """Replies, a resolution and an accepted suggestion are appended in order."""
    output = "Ask 👩‍👩‍👧 or é̂ first."
    client.post("/v1/traces", json=trace("t-1", output=output))
    start = output.index("é")
    exact = output[start : start + 2]
    selector = {"exact": exact, "start": start, "end": start + 2, "prefix": "or ", "suffix": "̂ "}
    body = {"id": "f-1", "kind": "annotation", "trace_id": "t-1", "selector": selector,
            "correction": "e", "labels": ["typo"]}  # fmt: skip
    assert client.post("/v1/feedback", json=body).status_code == 201
    for entry in ({"action": "reply", "comment": "Really?"}, {"action": "accept"}):
        added = client.post("/v1/feedback/f-1/thread", json=entry | {"author": "bob"})
        assert added.status_code == 201
    found = client.get("/v1/feedback/f-1").json()
    assert found["selector"] == selector | {"part": "output"}
    assert [entry["action"] for entry in found["thread"]] == ["reply", "accept"]


@pytest.mark.parametrize("name", ["a/b", "..", "%252e", "é🙂", "CON", "x" * 256, "a b?c#d"])
def test_strange_ids_are_stored_and_found(client: httpx2.Client, name: str) -> None:
    """An id is a text, never a path."""
    assert client.post("/v1/traces", json=trace(name)).status_code == 201
    assert client.get("/v1/traces", params={"id": name}).json()["data"][0]["id"] == name
    if name != "..":
        assert client.get(f"/v1/traces/{quote(name, safe='')}").json()["id"] == name


def test_public_key_speaks_about_its_trace_only(server: Server, client: httpx2.Client) -> None:
    """With a token: feedback on that trace as its end user, and nothing else."""
    client.post("/v1/traces", json=trace("t-1"))
    token = tokens.sign(server.secret_key, "t-1", user_id="u-7")
    with server.client(server.public_key, **{"teachback-token": token}) as browser:
        given = browser.post("/v1/feedback", json=rating("t-1", 0, id="mine", author="eve"))
        assert given.status_code == 201
        assert browser.get("/v1/feedback/mine").json()["author"] == "u-7"
        assert browser.post("/v1/feedback", json=rating("t-2", 0)).status_code == 403
        assert browser.get("/v1/traces/t-1").status_code == 403
        assert browser.post("/v1/traces", json=trace("t-5")).status_code == 403
        client.post("/v1/feedback", json=rating("t-1", 0, id="other", author="bob"))
        assert browser.get("/v1/feedback/other").status_code == 404
        assert browser.post("/v1/feedback/other/withdraw", json={}).status_code == 404
        assert [item["id"] for item in browser.get("/v1/feedback").json()["data"]] == ["mine"]


@pytest.mark.parametrize("change", ["forged", "expired", "missing", "garbage"])
def test_public_key_without_a_good_token_is_refused(server: Server, change: str) -> None:
    """A token is checked for its signature and its expiry."""
    token = tokens.sign(server.secret_key, "t-1", lifetime_s=-1 if change == "expired" else 60)
    given = {"forged": token[:-4] + "AAAA", "missing": "", "garbage": "é.b.c"}.get(change, token)
    with server.client(server.public_key) as browser:
        headers = {b"teachback-token": given.encode()} if given else {}
        assert (
            browser.post("/v1/feedback", json=rating("t-1", 0), headers=headers).status_code == 401
        )


def test_revoked_key_is_refused(server: Server, client: httpx2.Client) -> None:
    """A key ends for the process that revoked it at once."""
    new = client.post("/v1/keys", json={"kind": "secret", "name": "old"}).json()
    with server.client(new["secret"]) as other:
        assert other.get("/v1/traces").status_code == 200
        assert client.delete(f"/v1/keys/{new['id']}").status_code == 204
        assert other.get("/v1/traces").status_code == 401


def test_idempotency_key_replays_the_first_answer(client: httpx2.Client) -> None:
    """The same request gets the same answer; another request under the key is refused."""
    headers = {"idempotency-key": "k-1"}
    first = client.post("/v1/traces", json=trace(None, query="a"), headers=headers)
    again = client.post("/v1/traces", json=trace(None, query="a"), headers=headers)
    assert first.json() == again.json()
    assert len(client.get("/v1/traces").json()["data"]) == 1
    other = client.post("/v1/traces", json=trace(None, query="b"), headers=headers)
    assert other.status_code == 422


def test_lists_page_without_gaps(client: httpx2.Client) -> None:
    """Following next_cursor sees every record once, newest first."""
    body = {
        "data": [trace(f"t-{i:03}", started_at=f"2026-03-01T12:00:{i % 7:02}Z") for i in range(25)]
    }
    assert client.post("/v1/traces", json=body).json()["stored"] == 25
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get(
            "/v1/traces", params={"limit": 4} | ({"cursor": cursor} if cursor else {})
        )
        seen += [item["id"] for item in page.json()["data"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(item["id"] for item in body["data"])
    assert len(seen) == 25


def test_versions_are_noted_when_first_seen(client: httpx2.Client) -> None:
    """A new prompt, document, model or release version is an event with its earliest time."""
    for i, version in enumerate(("2", "1", "2")):
        context = [{"kind": "system_prompt", "name": "support", "version": version, "content": "x"}]
        at = f"2026-03-0{3 - i}T00:00:00Z"
        client.post(
            "/v1/traces", json=trace(f"t-{i}", context=context, started_at=at, release="r9")
        )
    changes = client.get("/v1/changes").json()["data"]
    seen = {(item["kind"], item["version"]): item["first_seen_at"][:10] for item in changes}
    assert seen == {
        ("prompt", "2"): "2026-03-01",
        ("prompt", "1"): "2026-03-02",
        ("release", "r9"): "2026-03-01",
        ("model", "gpt-x"): "2026-03-01",
    }


def test_sessions_count_their_turns(client: httpx2.Client) -> None:
    """A session knows its start, its end and its turns, in whatever order they came."""
    for minute in (5, 1, 3):
        at = f"2026-03-01T12:0{minute}:00Z"
        client.post("/v1/traces", json=trace(f"t-{minute}", session_id="s-1", started_at=at))
    found = client.get("/v1/sessions/s-1").json()
    assert (found["turns"], found["duration_s"]) == (3, 240.0)
    assert [item["id"] for item in found["traces"]] == ["t-1", "t-3", "t-5"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": "application/json; charset=latin-1"}, b"{}", 415),
        ({"content-type": "application/json"}, b"", 400),
        ({"content-type": "application/json"}, b"[1]", 400),
        ({"content-type": "application/json"}, b'{"query": NaN}', 400),
        ({"content-type": "application/json"}, b'{"query": "a", "query": "b"}', 400),
        ({"content-type": "application/json"}, b'{"query": "a", "metadata": {"x": 1e400}}', 400),
        ({"content-type": "application/json"}, b'{"query":' + b"[" * 20_000, 400),
        ({"content-type": "application/json", "content-encoding": "gzip"}, b"nope", 400),
        ({"content-type": "application/json", "content-encoding": "br"}, b"{}", 415),
    ],
)
def test_unreadable_bodies_are_refused(
    client: httpx2.Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    """Every bad body gets one clear answer in one shape."""
    answer = client.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_nul_and_lone_surrogates_are_replaced_and_flagged(client: httpx2.Client) -> None:
    """What PostgreSQL cannot hold becomes U+FFFD; pairs and backslashes stay."""
    body = rb'{"id": "t-1", "query": "a\u0000b \ud800 \ud83d\ude42 \\u0000"}'
    answer = client.post("/v1/traces", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    found = client.get("/v1/traces/t-1").json()
    assert found["query"] == "a\ufffdb \ufffd 🙂 \\u0000"
    assert found["sanitized"] is True


def test_no_key_no_answer(server: Server) -> None:
    """Everything but health needs a key."""
    with httpx2.Client(base_url=server.url) as stranger:
        assert stranger.get("/healthz").status_code == 200
        for path in ("/v1/traces", "/v1/feedback", "/v1/keys", "/v1/widget", "/metrics"):
            assert stranger.get(path).status_code == 401


def test_new_project_has_its_own_records_and_the_same_owners(
    server: Server, client: httpx2.Client
) -> None:
    """A second project is empty, and whoever owns the first owns it too."""
    client.post("/v1/traces", json=trace("t-1"))
    made = client.post("/v1/projects", json={"name": "Second"}).json()
    with server.client(made["key"]["secret"]) as other:
        assert other.get("/v1/traces").json()["data"] == []
        assert other.get("/v1/projects/current").json()["name"] == "Second"
    with psycopg.connect(server.dsn) as connection:
        owners = connection.execute(
            "select member_id::text from membership where project_id = %s", (made["id"],)
        ).fetchall()
    assert owners == [(server.installation.alice.id,)]


def test_time_far_ahead_is_taken_as_now(client: httpx2.Client) -> None:
    """A clock years ahead must not pin its judgement in force for good."""
    ahead = rating("t-1", 0, id="f-1", author="bob", occurred_at="2099-01-01T00:00:00Z")
    client.post("/v1/feedback", json=ahead)
    client.post("/v1/feedback", json=rating("t-1", 1, id="f-2", author="bob"))
    assert client.get("/v1/feedback/f-1").json()["id"] == "f-2"
