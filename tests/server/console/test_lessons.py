"""The pages of lessons and prompts: read, decided about, and changed by members alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from conftest import Server
from server.test_lessons import FACT, member_key
from support.hostile import PAYLOADS
from support.watching import Watched
from tests_support import trace

OUTPUT = "Refunds take 14 days."
SPAN = {"exact": "14 days", "start": 13, "end": 20}


@pytest.fixture
def complained(client: httpx2.Client) -> str:
    """A trace whose answer was corrected in a passage and as a whole; its id."""
    said: list[dict[str, Any]] = [
        {"id": "span", "kind": "annotation", "selector": SPAN, "correction": "30 days"},
        {"id": "better", "kind": "correction", "correction": "It takes 30 days."},
    ]
    sent = trace("t", query=FACT["situation"], output=OUTPUT)
    batch = {"traces": [sent], "feedback": [one | {"trace_id": "t"} for one in said]}
    assert client.post("/v1/batch", json=batch).json()["stored"] == 3
    return "t"


def act(visitor: httpx2.Client, action: str, lesson: str = "l", **form: str) -> httpx2.Response:
    body = {"action": action, "reason": "read"} | form
    return visitor.post(f"/lessons/{lesson}/act", data=body)


def test_complaint_becomes_a_live_lesson(
    client: httpx2.Client, visitor: httpx2.Client, complained: str
) -> None:
    """From the button of the trail through the draft to everybody's prompts, and out again."""
    assert "Propose a lesson" in visitor.get("/traces/t").text
    page = visitor.post("/lessons/propose", data={"trace": "t"})
    lesson = page.url.path.removeprefix("/lessons/")
    assert "Refunds take 30 days." in page.text
    assert "How the prompt would have looked" in page.text
    for action, form, state in (
        ("approve", {"version": "1"}, "approved"), ("canary", {}, "canary"), ("live", {}, "live"),
        ("kill", {}, "live"), ("revive", {}, "live"), ("retired", {}, "retired"),
    ):  # fmt: skip
        assert act(visitor, action, lesson, **form).status_code == 200
        kept = client.get(f"/v1/lessons/{lesson}").json()
        assert kept["state"] == state
        assert ("killed_at" in kept) == (action == "kill")
    history = client.get(f"/v1/lessons/{lesson}/history").json()["data"]
    assert {one["actor"]["name"] for one in history} == {"Alice"}


def test_checked_correction_is_proposed_as_an_example(
    client: httpx2.Client, visitor: httpx2.Client, complained: str
) -> None:
    """Whoever says that they have checked it stands behind it; both drafts are listed."""
    page = visitor.post("/lessons/propose", data={"trace": "t", "confirmed": "yes"})
    assert page.url.path == "/lessons"
    assert "It takes 30 days." in page.text
    assert {one["kind"] for one in client.get("/v1/lessons").json()["data"]} == {"fact", "example"}


def test_nothing_to_propose_leads_to_the_form(
    client: httpx2.Client, visitor: httpx2.Client
) -> None:
    """Which knows the question, and makes a draft."""
    client.post("/v1/traces", json=trace("t", query="What now?"))
    page = visitor.post("/lessons/propose", data={"trace": "t"})
    assert page.url.path == "/lessons/new"
    assert "What now?" in page.text
    form = {"kind": "guidance", "situation": "What now?", "text": "Say what is next.",
            "scope": "roles: admin, owner; locales: de"}  # fmt: skip
    made = visitor.post("/lessons", data=form)
    assert made.status_code == 200
    (one,) = client.get("/v1/lessons").json()["data"]
    assert one["scope"] == {"roles": ["admin", "owner"], "locales": ["de"]}
    assert (one["state"], one["author"]) == ("draft", "Alice")


def test_what_cannot_be_done_is_told_beside_the_lesson(
    client: httpx2.Client, visitor: httpx2.Client
) -> None:
    """A stale version, a way that is not open, no reason, a scope that is none."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    assert "a draft cannot become live" in act(visitor, "live").text
    client.patch("/v1/lessons/l", json={"text": "Other."})
    stale = act(visitor, "approve", version="1")
    assert (stale.status_code, "version 2 waits" in stale.text) == (409, True)
    assert act(visitor, "approve", version="2", reason=" ").status_code == 400
    assert act(visitor, "fly").status_code == 400
    wrong = {"situation": "x", "text": "x", "scope": "planets: mars"}
    assert visitor.post("/lessons/l/edit", data=wrong).status_code == 400
    kept = client.get("/v1/lessons/l").json()
    assert (kept["state"], kept["latest"]) == ("draft", 2)


def test_new_version_is_read_as_a_change(client: httpx2.Client, visitor: httpx2.Client) -> None:
    """Beside the words that stay in force."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    act(visitor, "approve", version="1")
    act(visitor, "live")
    form = {"situation": FACT["situation"], "text": "Refunds take 30 days.", "scope": ""}
    page = visitor.post("/lessons/l/edit", data=form)
    assert "<del>14</del><ins>30</ins>" in page.text
    assert client.get("/v1/lessons/l").json()["text"] == FACT["text"]
    act(visitor, "decline")
    assert client.get("/v1/lessons/l").json().get("pending") is None


def test_viewers_read_and_decide_nothing(
    server: Server, client: httpx2.Client, visitor: httpx2.Client
) -> None:
    """Every form is refused, and none is shown."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    client.post("/v1/prompts", json={"name": "support", "text": "Help."})
    asyncio.run(member_key(server, "viewer"))
    for path in ("/lessons", "/lessons/l", "/prompts", "/prompts/support"):
        assert 'method="post" action="/lessons' not in visitor.get(path).text
        assert 'method="post" action="/prompts' not in visitor.get(path).text
    refused = [
        act(visitor, "approve", version="1"), act(visitor, "kill"),
        visitor.post("/lessons/switch", data={"off": "yes", "reason": "x"}),
        visitor.post("/lessons", data={"kind": "fact", "situation": "x", "text": "x"}),
        visitor.post("/prompts", data={"name": "p", "text": "x"}),
        visitor.post("/prompts/support/act",
                     data={"action": "approved", "version": "1", "reason": "x"}),
    ]  # fmt: skip
    assert {answer.status_code for answer in refused} == {403}
    assert client.get("/v1/lessons/l").json()["state"] == "draft"


def test_prompt_is_changed_and_served(client: httpx2.Client, visitor: httpx2.Client) -> None:
    """Drafted, approved and promoted on its page; a live guidance is merged into it."""
    assert visitor.post("/prompts", data={"name": "support", "text": "Help."}).status_code == 200
    for action in ("approved", "live"):
        form = {"action": action, "version": "1", "reason": "read"}
        assert visitor.post("/prompts/support/act", data=form).status_code == 200
    assert client.get("/v1/prompts/support").json()["production"]["text"] == "Help."
    client.post(
        "/v1/lessons", json={"id": "l", "kind": "guidance", "situation": "Any", "text": "Hi."}
    )
    act(visitor, "approve", version="1")
    act(visitor, "live")
    assert "Merge into a prompt" in visitor.get("/lessons/l").text
    page = visitor.post("/prompts/merge", data={"prompt": "support", "lesson": "l"})
    assert page.url.query == b"version=2"
    assert "a lesson merged" in page.text
    assert "<ins>" in page.text


def test_switch_takes_all_lessons_out(client: httpx2.Client, visitor: httpx2.Client) -> None:
    """And says so above the list until it is taken back."""
    visitor.post("/lessons/switch", data={"off": "yes", "reason": "an incident"})
    assert client.get("/v1/lesson_switch").json()["off"] is True
    assert "none reaches a prompt" in visitor.get("/lessons").text
    visitor.post("/lessons/switch", data={"off": "no", "reason": "mended"})
    assert client.get("/v1/lesson_switch").json()["off"] is False


@pytest.mark.browser
def test_lesson_is_decided_by_keyboard(
    watched: Watched, client: httpx2.Client, complained: str
) -> None:
    """From the list to approved without a mouse, whatever is written in it."""
    hostile = " ".join(PAYLOADS)[:1_900]
    client.post("/v1/lessons", json=FACT | {"id": "l", "situation": hostile, "text": hostile})
    page = watched.page
    page.goto("/overview")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/lessons")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/lessons/l")
    page.keyboard.press("a")
    page.keyboard.type("Read it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Put it live")).to_be_visible()
    assert client.get("/v1/lessons/l").json()["state"] == "approved"
    assert watched.faults == []
