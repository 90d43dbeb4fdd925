"""Members keep views and put tags beside the record, which stays as it was sent."""

from __future__ import annotations

import asyncio
import json
import re

import httpx2
import pytest
from psycopg import sql

from conftest import Server
from support.people import signed_in_as
from teachback.store import facets
from teachback.store.database import Database
from teachback.store.search import make_documents
from tests_support import rating, trace

WRONG_TAGS: tuple[dict[str, object], ...] = (
    {"tag": "urgent"},
    {"tag": " ", "chosen": '["f-1"]'},
    {"tag": "x" * 65, "chosen": '["f-1"]'},
    {"tag": "urgent", "chosen": "f-1"},
    {"tag": "urgent", "chosen": "[1]"},
)


@pytest.fixture
def judged(client: httpx2.Client) -> None:
    """Two feedback."""
    said = [rating("t", 0, author=f"u-{n}", id=f"f-{n}") for n in (1, 2)]
    assert client.post("/v1/feedback", json={"data": said}).json()["stored"] == 2


def test_view_comes_back_until_deleted(visitor: httpx2.Client) -> None:
    """A name leads to its filter; deleting it leaves the list."""
    made = visitor.post(
        "/views", data={"name": "Angry", "page": "feedback", "query": "q=negative%3Atrue"}
    )
    assert made.status_code == 200
    html = visitor.get("/feedback").text
    assert 'href="/feedback?q=negative%3Atrue"' in html
    assert "Angry" in html
    assert "Angry" not in visitor.get("/sessions").text
    found = re.search(r'action="(/views/[0-9a-f-]+/delete)"', html)
    assert found is not None
    assert visitor.post(found.group(1)).status_code == 200
    assert "Angry" not in visitor.get("/feedback").text
    assert visitor.post(found.group(1)).status_code == 404


@pytest.mark.parametrize(
    "form",
    [{"name": "", "page": "feedback"}, {"name": "x", "page": "keys"},
     {"name": "x", "page": "feedback", "query": "x" * 4_001}],
)  # fmt: skip
def test_view_is_not_made_when_the_form_is_wrong(
    visitor: httpx2.Client, form: dict[str, str]
) -> None:
    """The page says what is wrong."""
    assert visitor.post("/views", data=form).status_code == 400


def test_tags_stand_on_their_lines_until_removed(visitor: httpx2.Client, judged: None) -> None:
    """Many at once, each once; what was sent is not touched."""
    boxes = [json.dumps([one]) for one in ("f-1", "f-2")]
    form = {"tag": " to  check ", "chosen": boxes}
    assert visitor.post("/feedback/tags", data=form).status_code == 200
    answer = visitor.post("/feedback/tags", data=form)
    assert answer.text.count('class="tag"') == 2
    assert "to check" in answer.text
    gone = visitor.post(
        "/feedback/tags", data={"tag": "to check", "chosen": boxes[:1], "action": "remove"}
    )
    assert gone.text.count('class="tag"') == 1


@pytest.mark.parametrize("form", WRONG_TAGS)
def test_tag_is_refused_when_the_form_is_wrong(
    visitor: httpx2.Client, judged: None, form: dict[str, object]
) -> None:
    """Nothing is tagged, and the page says why."""
    assert visitor.post("/feedback/tags", data=form).status_code == 400
    assert 'class="tag"' not in visitor.get("/feedback").text


def test_viewer_reads_and_keeps_views_but_does_not_tag(
    server: Server, visitor: httpx2.Client, judged: None
) -> None:
    """Bob, a viewer, saves a view of his own and cannot delete Alice's; tags are refused."""
    visitor.post("/views", data={"name": "Hers", "page": "feedback", "query": "q=a"})
    with signed_in_as(server, "viewer") as bob:
        html = bob.get("/feedback").text
        assert "Hers" in html
        assert "/delete" not in html
        assert bob.post("/views", data={"name": "His", "page": "feedback"}).status_code == 200
        assert "/delete" in bob.get("/feedback").text
        chosen = {"tag": "x", "chosen": '["f-1"]'}
        assert bob.post("/feedback/tags", data=chosen).status_code == 403
        assert 'name="tag"' not in html
    hers = re.search(r'action="(/views/[0-9a-f-]+/delete)"', visitor.get("/feedback").text)
    assert hers is not None


def test_views_and_tags_of_another_project_are_out_of_reach(
    server: Server, visitor: httpx2.Client, judged: None
) -> None:
    """Charlie sees no view of Alice's, deletes none, and tags nothing of hers."""
    visitor.post("/views", data={"name": "Hers", "page": "feedback", "query": "q=a"})
    delete = re.search(r'action="(/views/[0-9a-f-]+/delete)"', visitor.get("/feedback").text)
    assert delete is not None
    with signed_in_as(server, "owner", own_project=True) as charlie:
        assert "Hers" not in charlie.get("/feedback").text
        assert charlie.post(delete.group(1)).status_code == 404
        charlie.post("/feedback/tags", data={"tag": "mine", "chosen": '["f-1"]'})
    html = visitor.get("/feedback").text
    assert "Hers" in html
    assert 'class="tag"' not in html


def test_tag_of_a_member_is_found_like_one_of_the_application(
    visitor: httpx2.Client, client: httpx2.Client
) -> None:
    """By whole word and by beginning, on feedback, traces and sessions, and by its absence."""
    sent = [trace("t-1", session_id="s-1", tags=["vip"]), trace("t-2", session_id="s-2")]
    said = [rating(f"t-{n}", 0, author=f"u-{n}", id=f"f-{n}") for n in (1, 2)]
    client.post("/v1/batch", json={"traces": sent, "feedback": said})
    visitor.post("/feedback/tags", data={"tag": "to check", "chosen": '["f-2"]'})
    for query, found in (
        ('tag:"to check"', "2"), ("tag:to*", "2"), ("tag:vip", "1"), ("-tag:vip", "2"),
        ("-tag:to*", "1"),
    ):  # fmt: skip
        for noun, begins in (("feedback", "f"), ("traces", "t"), ("sessions", "s")):
            listed = client.get(f"/v1/{noun}", params={"q": query}).json()["data"]
            assert [one["id"] for one in listed] == [f"{begins}-{found}"], (query, noun)
    html = visitor.get("/feedback").text
    assert "tag%3A%22to+check%22" in html


def test_list_is_sorted_counted_and_narrowed_by_its_facets(
    visitor: httpx2.Client, client: httpx2.Client
) -> None:
    """Each value with its count leads to what has it; the order stays on the way."""
    sent = [trace(f"t-{n}", role="admin" if n else "guest", session_id=f"s-{n}") for n in range(3)]
    said = [rating(f"t-{n}", 0, author=f"u-{n}", id=f"f-{n}",
                   occurred_at=f"2026-03-0{n + 1}T12:00:00Z") for n in range(3)]  # fmt: skip
    client.post("/v1/batch", json={"traces": sent, "feedback": said})
    html = visitor.get("/feedback?sort=oldest").text
    assert html.index("<bdi>u-0</bdi>") < html.index("<bdi>u-2</bdi>")
    assert "3 in all" in html
    link = 'href="/feedback?q=role%3Aadmin&amp;sort=oldest"><bdi class="cut">admin</bdi>'
    assert link + '<span class="num">2</span>' in html
    assert (
        'role%3Aadmin"><bdi class="cut">admin</bdi><span class="num">2'
        in visitor.get("/sessions").text
    )
    assert "u-0" not in visitor.get("/feedback?q=role%3Aadmin&sort=oldest").text


def test_words_are_marked_and_similar_cases_stand_on_the_trail(
    visitor: httpx2.Client, client: httpx2.Client, server: Server
) -> None:
    """What was searched for is marked in any form; a trail leads to others like it."""
    sent = [trace("t-1", query="How do refunds work?"), trace("t-2", query="My refund is <late>")]
    said = [rating(f"t-{n}", 0, author=f"u-{n}", id=f"f-{n}") for n in (1, 2)]
    client.post("/v1/batch", json={"traces": sent, "feedback": said})
    assert "No other judged exchange" in visitor.get("/traces/t-1").text
    asyncio.run(_make_documents(server.dsn))
    html = visitor.get("/feedback?q=refunded").text
    assert 'How do <mark class="found">refunds</mark> work?' in html
    trail = visitor.get("/traces/t-1").text
    assert 'href="/traces/t-2"' in trail
    assert "My refund is &lt;late&gt;" in trail
    assert "1 negative" in trail


async def _make_documents(dsn: str) -> None:
    db = Database(dsn, max_size=1)
    await db.open()
    try:
        await make_documents(db)
    finally:
        await db.close()


def test_list_is_shown_when_counting_takes_too_long(
    visitor: httpx2.Client, judged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says that it did not count, and lists all the same."""
    monkeypatch.setattr(facets, "_FEEDBACK", sql.SQL("select pg_sleep(5) where {narrowed}"))
    for _ in range(2):
        html = visitor.get("/feedback").text
        assert "u-1" in html
        assert "Too many to count" in html


def test_sessions_are_found_by_what_was_said_about_them_or_their_turns(
    visitor: httpx2.Client, client: httpx2.Client
) -> None:
    """On the whole or on a turn; each condition of the same judgement."""
    sent = [trace(f"t-{n}", session_id=f"s-{n}") for n in (1, 2, 3)]
    said = [
        rating("t-1", 0, author="u", id="f-1"),
        {"id": "f-2", "session_id": "s-2", "kind": "comment", "comment": "No.", "author": "u"},
        rating("t-3", 1, author="u", id="f-3"),
    ]
    client.post("/v1/batch", json={"traces": sent, "feedback": said})
    for query, found in (
        ("kind:rating", {"s-1", "s-3"}), ("kind:comment", {"s-2"}), ("negative:yes", {"s-1"}),
        ("kind:comment negative:yes", set()), ("-kind:rating", {"s-2"}),
    ):  # fmt: skip
        listed = client.get("/v1/sessions", params={"q": query}).json()["data"]
        assert {one["id"] for one in listed} == found, query
