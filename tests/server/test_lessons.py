"""Lessons over HTTP: drafts by any secret key, approval by members alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from conftest import PEPPER, Server
from teachback.model.project import Role
from teachback.model.recall import Injection
from teachback.record import access
from teachback.store import lessons as store
from teachback.store import projects
from teachback.store.database import Database
from teachback.store.injections import NewInjection, save_injections
from tests_support import rating, trace

FACT = {"kind": "fact", "situation": "How long do refunds take?", "text": "Refunds take 14 days."}


async def member_key(server: Server, role: Role) -> str:
    """A key that acts for Alice, whose role becomes this one."""
    db = Database(server.dsn, max_size=2)
    await db.open()
    project, alice = server.installation.project, server.installation.alice
    await projects.save_role(db, project.id, alice.id, role)
    new = await access.make_key(
        db, PEPPER, project.id, kind="secret", name="alice's", member_id=alice.id
    )
    await db.close()
    return new.secret


@pytest.fixture
def alice(server: Server) -> Iterator[httpx2.Client]:
    with server.client(asyncio.run(member_key(server, "owner"))) as opened:
        yield opened


def state(client: httpx2.Client, lesson: str, to: str, **fields: Any) -> httpx2.Response:
    body = {"state": to, "reason": "read it"} | fields
    return client.post(f"/v1/lessons/{lesson}/state", json=body)


def test_lesson_is_drafted_by_the_application_and_approved_by_alice(
    client: httpx2.Client, alice: httpx2.Client
) -> None:
    """The whole way, each step with its name in the history."""
    scope = {"roles": ["admin"], "locales": ["en"]}
    sent = FACT | {"id": "refunds", "scope": scope, "provenance": ["f1"], "priority": 5}
    made = client.post("/v1/lessons", json=sent)
    assert made.status_code == 201
    assert made.json() | sent == made.json()
    assert (made.json()["state"], made.json()["author"]) == ("draft", "server")
    assert state(client, "refunds", "approved", version=1).status_code == 403
    assert state(alice, "refunds", "live").status_code == 409
    assert state(alice, "refunds", "approved").json()["error"]["field"] == "version"
    assert state(alice, "refunds", "approved", version=1).json()["state"] == "approved"
    assert state(alice, "refunds", "canary").json()["state"] == "canary"
    changed = client.patch("/v1/lessons/refunds", json={"text": "Refunds take 30 days."}).json()
    assert (changed["text"], changed["pending"]) == (FACT["text"], 2)
    assert state(alice, "refunds", "approved", version=2).json()["text"] == "Refunds take 30 days."
    assert state(alice, "refunds", "approved").json()["state"] == "approved"
    assert state(client, "refunds", "retired").json()["state"] == "retired"
    kept = client.get("/v1/lessons/refunds").json()
    assert [one["version"] for one in kept["versions"]] == [2, 1]
    assert kept["versions"][1]["scope"] == scope
    history = client.get("/v1/lessons/refunds/history").json()["data"]
    assert [(one["action"], one["actor"]["name"]) for one in reversed(history)] == [
        ("drafted", "server"), ("approved", "Alice"), ("moved", "Alice"), ("edited", "server"),
        ("approved", "Alice"), ("moved", "Alice"), ("moved", "server"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("editor", 200), ("reviewer", 200), ("viewer", 403)]
)
def test_role_decides_who_approves(server: Server, role: Role, status: int) -> None:
    """It is read when the key is used, not when it was made."""
    with server.client() as client:
        client.post("/v1/lessons", json=FACT | {"id": "l"})
    with server.client(asyncio.run(member_key(server, role))) as member:
        assert state(member, "l", "approved", version=1).status_code == status
        assert member.post("/v1/lessons", json=FACT).status_code == (201 if status == 200 else 403)


def test_kill_switches_are_set_by_any_secret_key_and_taken_back_by_members(
    client: httpx2.Client, alice: httpx2.Client
) -> None:
    """Taking words out of prompts must be easy; putting them back is a decision."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    off, on = ({"off": value, "reason": "harm"} for value in (True, False))
    assert "killed_at" in client.post("/v1/lessons/l/kill", json=off).json()
    assert client.post("/v1/lessons/l/kill", json=on).status_code == 403
    assert "killed_at" not in alice.post("/v1/lessons/l/kill", json=on).json()
    assert client.put("/v1/lesson_switch", json=off).json()["off"] is True
    assert client.put("/v1/lesson_switch", json=on).status_code == 403
    told = alice.put("/v1/lesson_switch", json=on).json()
    assert (told["off"], [one["action"] for one in told["history"]]) == (
        False, ["revived", "killed"],
    )  # fmt: skip
    assert client.get("/v1/lesson_switch").json() == told


def test_lists_are_narrowed_and_paged(client: httpx2.Client, alice: httpx2.Client) -> None:
    """By state, by kind, by what they were learned from, and by what waits for approval."""
    for number in range(5):
        client.post("/v1/lessons", json=FACT | {"id": f"l{number}", "provenance": [f"f{number}"]})
    answer = {"kind": "example", "situation": "Hi", "answer": "Hello!", "id": "e"}
    assert client.post("/v1/lessons", json=answer).json()["text"] == "Hi"
    state(alice, "l3", "approved", version=1)

    def ids(query: str) -> list[str]:
        return [one["id"] for one in client.get(f"/v1/lessons?{query}").json()["data"]]

    assert ids("state=approved") == ["l3"]
    assert ids("kind=example") == ["e"]
    assert ids("feedback_id=f2") == ["l2"]
    assert set(ids("waiting=true")) == {"e", "l0", "l1", "l2", "l4"}
    first = client.get("/v1/lessons?limit=4").json()
    rest = ids(f"limit=4&cursor={first['next_cursor']}")
    assert len(rest) == 2
    assert not {one["id"] for one in first["data"]} & set(rest)


def test_new_lesson_names_those_like_it(client: httpx2.Client) -> None:
    """Both by what relates them."""
    client.post("/v1/lessons", json=FACT | {"id": "first"})
    like = client.post("/v1/lessons", json=FACT | {"text": "Never."}).json()["like"]
    assert [(one["id"], one["relation"]) for one in like] == [("first", "conflict")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (FACT | {"kind": "rule"}, "kind"),
        (FACT | {"id": "a/b"}, "id"),
        (FACT | {"situation": ""}, "situation"),
        (FACT | {"text": "x" * 4_001}, "text"),
        (FACT | {"answer": "x"}, "answer"),
        (FACT | {"scope": {"planets": ["mars"]}}, "scope.planets"),
        (FACT | {"priority": 101}, "priority"),
        (FACT | {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        (FACT | {"expires_at": "2020-01-01T00:00:00"}, "expires_at"),
        (FACT | {"state": "live"}, "state"),
        ({"kind": "fact", "situation": "x"}, "text"),
        ({"kind": "example", "situation": "x"}, "answer"),
    ],
)
def test_malformed_lesson_is_refused(
    client: httpx2.Client, body: dict[str, Any], field: str
) -> None:
    """With the field at fault, and without what was said."""
    answer = client.post("/v1/lessons", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert "xxx" not in answer.text
    assert client.get("/v1/lessons").json()["data"] == []


def test_id_of_another_lesson_is_refused(client: httpx2.Client) -> None:
    """The first one is kept."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    assert client.post("/v1/lessons", json=FACT | {"id": "l", "text": "x"}).status_code == 409
    assert client.get("/v1/lessons/l").json()["text"] == FACT["text"]


async def inject_and_count(server: Server, lesson: str, traces: list[str]) -> int:
    """Note that these traces were given a lesson, and count what was said about them."""
    given = Injection(
        lesson_id=lesson, version=1, rank=1, score=1.0, position=1, variant="injected",
        propensity=0.9, reason="exact",
    )  # fmt: skip
    now, project = datetime.now(UTC), server.installation.project.id
    db = Database(server.dsn, max_size=2)
    await db.open()
    await save_injections(db, [NewInjection(project, trace, now, given) for trace in traces])
    changed = await store.count_judgements(db)
    await db.close()
    return changed


def test_voices_about_answers_with_a_lesson_are_counted(
    server: Server, client: httpx2.Client, alice: httpx2.Client
) -> None:
    """One for each author, however often they judge; who found an answer bad is not content."""
    client.post("/v1/lessons", json=FACT | {"id": "l"})
    state(alice, "l", "approved", version=1)
    state(alice, "l", "live")
    names = [f"t{number}" for number in range(6)]
    judged = [("t0", 1, "bob"), ("t1", 1, "bob"), ("t2", 0, "carol"), ("t3", 1, "carol"),
              ("t4", 1, ""), ("t5", 0, "dave")]  # fmt: skip
    sent = [rating(trace_id, score, author=author) for trace_id, score, author in judged]
    client.post("/v1/batch", json={"traces": [trace(name) for name in names], "feedback": sent})
    assert asyncio.run(inject_and_count(server, "l", names[:5])) == 1
    kept = client.get("/v1/lessons/l").json()
    assert (kept["helpful"], kept["harmful"]) == (2, 1)
    assert asyncio.run(inject_and_count(server, "l", [])) == 0
