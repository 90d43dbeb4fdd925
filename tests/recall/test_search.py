"""Lists can be narrowed and searched, by everything that was recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx2
import pytest

from conftest import Server
from support.wire import rating, trace
from teachback.store import search as store
from teachback.store.database import Database


def ids(answer: httpx2.Response, field: str = "id") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one[field] for one in answer.json()["data"]]


@pytest.fixture
def store_some(client: httpx2.Client) -> None:
    """Three traces of two sessions, each with feedback."""
    base = {"request_model": "m-1", "metadata": {"plan": "pro", "seats": 12}, "tags": ["vip"]}
    prompt = {"kind": "system_prompt", "name": "support", "version": "3", "content": "Be kind."}
    traces = [
        trace(id="t-1", query="How do refunds work?", output="Ask within 30 days.", role="admin",
              session_id="s-1", started_at="2026-03-01T12:00:00Z", latency_ms=1200,
              context=[prompt], **base),
        trace(id="t-2", query="Where is my invoice?", output="Open the Billing page.",
              role="member", session_id="s-1", started_at="2026-03-02T12:00:00Z", environment="dev",
              error="timeout"),
        trace(id="t-3", query="Wie exportiere ich Rechnungen?", output="Gehe zu Berichte.",
              session_id="s-2", locale="de", started_at="2026-03-03T12:00:00Z",
              response_model="m-2", request_model="m-1"),
    ]  # fmt: skip
    feedback = [
        rating("t-1", score=0, id="f-1", author="u-1", confidence=0.4,
               occurred_at="2026-03-01T13:00:00Z"),
        {"id": "f-2", "trace_id": "t-1", "kind": "reasons", "labels": ["outdated", "tone"],
         "author": "u-1", "occurred_at": "2026-03-01T13:00:01Z"},
        {"id": "f-3", "trace_id": "t-2", "kind": "comment", "comment": "The refund page is gone.",
         "author": "u-2", "occurred_at": "2026-03-02T13:00:00Z"},
        rating("t-3", score=1, id="f-4", author="u-3", occurred_at="2026-03-03T13:00:00Z"),
        {"id": "f-5", "session_id": "s-2", "kind": "comment", "comment": "All well.",
         "author": "u-3", "occurred_at": "2026-03-03T14:00:00Z"},
    ]  # fmt: skip
    answer = client.post("/v1/batch", json={"traces": traces, "feedback": feedback})
    assert answer.json()["rejected"] == 0, answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind:rating", ["f-4", "f-1"]),
        ("kind:rating,reasons -negative:no", ["f-2", "f-1"]),
        ("negative:yes", ["f-2", "f-1"]),
        ("reason:outdated", ["f-2"]),
        ("reason:out*", ["f-2"]),
        ("-reason:outdated", ["f-5", "f-4", "f-3", "f-1"]),
        ("author:u-3", ["f-5", "f-4"]),
        ("confidence:<0.5", ["f-1"]),
        ("role:admin", ["f-2", "f-1"]),
        ("role:ADMIN", []),
        ("role:adm*", ["f-2", "f-1"]),
        ("role:%", []),
        ("env:dev", ["f-3"]),
        ("model:m-1", ["f-2", "f-1"]),
        ("model:m-2", ["f-4"]),
        ("locale:de", ["f-4"]),
        ("prompt:support", ["f-2", "f-1"]),
        ("prompt:support@3", ["f-2", "f-1"]),
        ("prompt:support@4", []),
        ("meta.plan:pro", ["f-2", "f-1"]),
        ("meta.seats:>=10", ["f-2", "f-1"]),
        ("meta.seats:12", ["f-2", "f-1"]),
        ("meta.seats:>12", []),
        ("meta.plan:>1", []),
        ("tag:vip", ["f-2", "f-1"]),
        ("session:s-2", ["f-5", "f-4"]),
        ("session.turns:>=2", ["f-3", "f-2", "f-1"]),
        ("session.duration:>12h", ["f-3", "f-2", "f-1"]),
        ("latency:>1000", ["f-2", "f-1"]),
        ("error:yes", ["f-3"]),
        ("has:comment", ["f-5", "f-3"]),
        ("since:2026-03-02 until:2026-03-03", ["f-3"]),
        ("trace:t-3", ["f-4"]),
        ("kind:rating role:admin", ["f-1"]),
    ],
)
def test_feedback_is_narrowed_by_every_kind_of_field(
    client: httpx2.Client, store_some: None, query: str, found: list[str]
) -> None:
    """Fields of the judgement, of its trace and of its session, in one line."""
    assert ids(client.get("/v1/feedback", params={"q": query})) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role:admin", ["t-1"]),
        ("kind:rating", ["t-3", "t-1"]),
        ("kind:rating reason:outdated", []),  # no one judgement is both
        ("-reason:outdated", ["t-3", "t-2"]),
        ("session:s-1", ["t-2", "t-1"]),
        ("-env:dev", ["t-3", "t-1"]),
        ("since:2026-03-02", ["t-3", "t-2"]),
    ],
)
def test_traces_are_narrowed(
    client: httpx2.Client, store_some: None, query: str, found: list[str]
) -> None:
    """Conditions on feedback hold of one judgement together; a negated one of none."""
    assert ids(client.get("/v1/traces", params={"q": query})) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role:admin", ["s-1"]),
        ("kind:comment", ["s-2", "s-1"]),
        ("negative:yes", ["s-1"]),
        ("session:s-2", ["s-2"]),
        ("session.turns:1", ["s-2"]),
        ("-locale:de", ["s-1"]),
    ],
)
def test_sessions_are_narrowed(
    client: httpx2.Client, store_some: None, query: str, found: list[str]
) -> None:
    """By their traces, and by what was said on them."""
    assert ids(client.get("/v1/sessions", params={"q": query})) == found


def test_sorted_list_goes_on_where_it_stopped(client: httpx2.Client, store_some: None) -> None:
    """Oldest first, page by page, each once."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"sort": "oldest", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/v1/feedback", params=params)
        seen += ids(answer)
        cursor = answer.json()["next_cursor"]
    assert seen == ["f-1", "f-2", "f-3", "f-4", "f-5"]


def test_mistake_in_a_query_is_told(client: httpx2.Client) -> None:
    """The value, the rule and the fix, in the one error shape."""
    answer = client.get("/v1/feedback", params={"q": "knd:rating"})
    assert answer.status_code == 400
    assert "Did you mean kind?" in answer.text


async def _index(dsn: str) -> None:
    db = Database(dsn, max_size=2)
    await db.open()
    try:
        while await store.make_documents(db):
            pass
        await store.count_words(db)
    finally:
        await db.close()


def test_words_are_found_in_any_form_with_their_places(
    client: httpx2.Client, server: Server, store_some: None
) -> None:
    """Query, answer and comment are searched; marks are places in the original."""
    asyncio.run(_index(server.dsn))
    hits = client.get("/v1/search", params={"q": "refunding"}).json()["data"]
    assert {hit["id"] for hit in hits} == {"t-1", "t-2"}
    first = next(hit for hit in hits if hit["id"] == "t-1")
    assert [first["query"][a:b] for a, b in first["query_marks"]] == ["refunds"]
    assert ids(client.get("/v1/search", params={"q": "refund role:admin"})) == ["t-1"]
    assert ids(client.get("/v1/search", params={"q": "Rechnungen"})) == ["t-3"]
    assert ids(client.get("/v1/feedback", params={"q": "refund kind:comment"})) == ["f-3"]
    assert ids(client.get("/v1/traces", params={"q": '"refund page"'})) == ["t-2"]


def test_later_words_are_found_too(client: httpx2.Client, server: Server, store_some: None) -> None:
    """A correction that comes later, and feedback that came before its trace."""
    asyncio.run(_index(server.dsn))
    client.post("/v1/feedback", json={"trace_id": "t-3", "kind": "correction", "author": "u-3",
                                      "correction": "Unter Archiv."})  # fmt: skip
    client.post("/v1/feedback", json={"trace_id": "t-9", "kind": "comment", "author": "u-3",
                                      "comment": "Nonsense"})  # fmt: skip
    client.post("/v1/traces", json=trace(id="t-9", query="Zebra?"))
    asyncio.run(_index(server.dsn))
    assert ids(client.get("/v1/search", params={"q": "Archiv"})) == ["t-3"]
    assert ids(client.get("/v1/search", params={"q": "zebra nonsense"})) == ["t-9"]


def test_similar_exchanges_leave_out_the_one_asked_about(
    client: httpx2.Client, server: Server, store_some: None
) -> None:
    """More like this one; unknown ids are told."""
    asyncio.run(_index(server.dsn))
    assert ids(client.get("/v1/traces/t-2/similar")) == []
    client.post("/v1/traces", json=trace(id="t-4", query="My invoice is lost"))
    client.post("/v1/feedback", json=rating("t-4", score=0, author="u-1"))
    asyncio.run(_index(server.dsn))
    assert ids(client.get("/v1/traces/t-2/similar"))[0] == "t-4"
    assert client.get("/v1/traces/nowhere/similar").status_code == 404


def test_search_goes_on_page_by_page(client: httpx2.Client, server: Server) -> None:
    """The same order as at once, each exchange once, and the last page says that it is the last."""
    for n in range(7):
        client.post("/v1/traces", json=trace(id=f"p-{n}", query="Zebra" + " stripes" * n))
        client.post("/v1/feedback", json=rating(f"p-{n}", score=0, author="u"))
    asyncio.run(_index(server.dsn))
    whole = client.get("/v1/search", params={"q": "zebra"}).json()
    assert (len(whole["data"]), whole["next_cursor"]) == (7, None)
    pages: list[list[str]] = []
    params = {"q": "zebra", "limit": "3"}
    while not pages or params["cursor"]:
        page = client.get("/v1/search", params=params).json()
        pages.append([hit["id"] for hit in page["data"]])
        params["cursor"] = page["next_cursor"]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [one for page in pages for one in page] == [hit["id"] for hit in whole["data"]]
    for cursor in ("x", "WzEsMl0", "Wy0xXQ", "W3RydWVd", "WzFlOV0"):
        refused = client.get("/v1/search", params={"q": "zebra", "cursor": cursor})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "cursor"), cursor


def test_search_needs_a_word(client: httpx2.Client) -> None:
    """Conditions alone are a list."""
    assert client.get("/v1/search", params={"q": "kind:rating"}).status_code == 400


@pytest.mark.parametrize(
    "words", ["'; drop table trace; --", "& | !", "\\", "a:*", "%s %(x)s", "☃"]
)
def test_strange_words_find_nothing_and_break_nothing(client: httpx2.Client, words: str) -> None:
    """Whatever is searched for is data."""
    quoted = '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert ids(client.get("/v1/search", params={"q": quoted})) == []
    assert ids(client.get("/v1/feedback", params={"q": quoted})) == []


def test_word_times_are_relative_to_now(client: httpx2.Client) -> None:
    """`since:1d` reaches back one day from now."""
    client.post("/v1/traces", json=trace(id="now", started_at=datetime.now(UTC).isoformat()))
    assert ids(client.get("/v1/traces", params={"q": "since:1d"})) == ["now"]
    assert ids(client.get("/v1/traces", params={"q": "until:1d"})) == []
