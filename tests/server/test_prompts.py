"""Prompts over HTTP: drafted, approved, tried, served with a tag, and merged with lessons."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from conftest import Server
from server.test_lessons import member_key

TEXT = "You are the support assistant of Papertally. Answer from the pages."


@pytest.fixture
def alice(server: Server) -> Iterator[httpx2.Client]:
    with server.client(asyncio.run(member_key(server, "owner"))) as opened:
        yield opened


def draft(client: httpx2.Client, text: str = TEXT, **fields: Any) -> int:
    answer = client.post("/v1/prompts", json={"name": "support", "text": text} | fields)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["version"])


def move(client: httpx2.Client, version: int, *states: str) -> httpx2.Response:
    path = f"/v1/prompts/support/versions/{version}/state"
    return [client.post(path, json={"state": state, "reason": "tried"}) for state in states][-1]


def test_prompt_goes_from_draft_to_production_and_back(
    client: httpx2.Client, alice: httpx2.Client
) -> None:
    """With labels, a diff, and who did what in the history."""
    assert draft(client) == 1
    assert move(client, 1, "approved").status_code == 403
    assert move(alice, 1, "approved", "live").json()["label"] == "production"
    assert draft(client, TEXT + " Be brief.", based_on=1) == 2
    assert move(alice, 2, "approved", "canary").json()["label"] == "canary"
    served = client.get("/v1/prompts/support").json()
    assert (served["production"]["version"], served["canary"]["version"]) == ("1", "2")
    assert client.get("/v1/prompts/support/diff?from=1&to=2").json()["changes"] == [
        ["=", TEXT], ["+", " Be brief."],
    ]  # fmt: skip
    assert move(alice, 2, "live").json()["state"] == "live"
    states = {
        one["version"]: one["state"]
        for one in client.get("/v1/prompts/support/versions").json()["data"]
    }
    assert states == {1: "approved", 2: "live"}
    assert move(client, 2, "approved").json()["state"] == "approved"
    assert move(alice, 1, "live").json()["label"] == "production"
    history = client.get("/v1/prompts/support/history").json()["data"]
    assert [(one["version"], one["action"], one["actor"]["name"]) for one in history[:3]] == [
        (1, "moved", "Alice"), (2, "moved", "server"), (2, "moved", "Alice"),
    ]  # fmt: skip
    (listed,) = client.get("/v1/prompts").json()["data"]
    assert (listed["name"], listed["production"], listed["latest"], listed["drafts"]) == (
        "support", 1, 2, 0,
    )  # fmt: skip


def test_served_prompt_has_a_tag(client: httpx2.Client, alice: httpx2.Client) -> None:
    """Whoever has it already is told so; a change is another one."""
    move(alice, draft(client), "approved", "live")
    first = client.get("/v1/prompts/support")
    known = {"if-none-match": first.headers["etag"]}
    assert client.get("/v1/prompts/support", headers=known).status_code == 304
    move(alice, draft(client, "Other."), "approved", "live")
    assert client.get("/v1/prompts/support", headers=known).json()["production"]["text"] == "Other."


def test_proven_guidance_is_merged_as_a_draft(client: httpx2.Client, alice: httpx2.Client) -> None:
    """A version that somebody reads and approves; the lesson is named by it."""
    move(alice, draft(client), "approved", "live")
    guidance = {"id": "g", "kind": "guidance", "situation": "Any question", "text": "Be brief."}
    client.post("/v1/lessons", json=guidance)
    body = {"lesson_id": "g", "reason": "holds everywhere"}
    assert client.post("/v1/prompts/support/merge", json=body).status_code == 409
    for state in ("approved", "live"):
        alice.post("/v1/lessons/g/state", json={"state": state, "reason": "x", "version": 1})
    made = client.post("/v1/prompts/support/merge", json=body).json()
    assert (made["state"], made["based_on"], made["lesson_ids"]) == ("draft", 1, ["g"])
    assert made["text"] == f"{TEXT}\n\nBe brief.\n"
    assert client.get("/v1/prompts/support").json()["production"]["text"] == TEXT


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a/b", "text": "x"}, "name"),
        ({"name": "a", "text": ""}, "text"),
        ({"name": "a", "text": "x" * 100_001}, "text"),
        ({"name": "a", "text": "x", "based_on": 4}, "based_on"),
        ({"name": "a", "text": "x", "state": "live"}, "state"),
    ],
)
def test_malformed_prompt_is_refused(
    client: httpx2.Client, body: dict[str, Any], field: str
) -> None:
    """With the field at fault; nothing is kept."""
    answer = client.post("/v1/prompts", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert client.get("/v1/prompts").json()["data"] == []


def test_unknown_prompts_and_versions_are_not_found(client: httpx2.Client) -> None:
    """Whatever is asked of them."""
    for path in ("", "/versions", "/history", "/diff?from=1&to=2"):
        assert client.get(f"/v1/prompts/nothing{path}").status_code == 404
    draft(client)
    assert client.get("/v1/prompts/support/diff?from=1&to=2").status_code == 404
    assert client.get("/v1/prompts/support/diff?to=2").json()["error"]["field"] == "from"
    assert move(client, 9, "retired").status_code == 404
    body = {"state": "retired", "reason": "x"}
    wrong = client.post("/v1/prompts/support/versions/one/state", json=body)
    assert wrong.json()["error"]["field"] == "version"
    assert client.get("/v1/prompts/support").json() | {"salt": ""} == {
        "name": "support", "canary_share": 0.2, "salt": "",
    }  # fmt: skip
