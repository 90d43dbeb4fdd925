"""An application asks what was learned: by the server or by itself, and never waits long."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from conftest import Server, _install, fresh_database, serving
from support.lessons import changed, lesson, planted
from teachback import Client
from teachback.core.choose import CosineGate, Match
from teachback.core.decide import decide
from teachback.model.lesson import Scope
from teachback.model.recall import Ask, Rules
from teachback.sdk import recall as sdk_recall
from teachback.sdk.edge import Edge
from teachback.sdk.static import StaticModel
from teachback.server.api.lesson_views import lesson_in_force_view

QUERY = "How do I get a refund?"
MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": QUERY}]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than a request would wait."""
    monkeypatch.setattr("teachback.recall.inject.BUDGET_S", 5.0)


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Makes clients of a project in which nothing is held back."""
    with server.client() as http:
        http.patch("/v1/projects/current", json={"recall": {"holdout": 0, "propensity": 1}})
    made: list[Client] = []

    def client(**options: Any) -> Client:
        given: dict[str, Any] = {
            "spool_dir": tmp_path / str(len(made)),
            "recall_timeout_s": 10.0,
        } | options
        made.append(Client(server.url, server.secret_key, **given))
        return made[-1]

    yield client
    for one in made:
        one.close(timeout_s=0.1)


def until(wanted: Callable[[], object], limit_s: float = 30) -> float:
    begun = time.monotonic()
    while not wanted():
        assert time.monotonic() - begun < limit_s
        time.sleep(0.01)
    return time.monotonic() - begun


def injected(client: Client, **facts: Any) -> bool:
    return client.inject(MESSAGES, **facts) is not MESSAGES


def trail(server: Server, trace_id: str) -> list[dict[str, Any]]:
    with server.client() as http:
        answer = http.get(f"/v1/traces/{trace_id}")
    found: list[dict[str, Any]] = answer.json().get("injections", [])
    return found


@pytest.mark.parametrize("local", [False, True])
def test_lesson_is_injected_and_recorded_on_the_trace(
    server: Server, make: Callable[..., Client], local: bool
) -> None:
    """By the server or here: the same block, and one record with the trace's facts."""
    one = planted(server, situation=QUERY, text="14 days.", scope=Scope(roles=("guest",)))
    client = make(local_recall=local)
    until(lambda: client._recaller.is_local is local and injected(client, role="guest"))
    with client.trace(QUERY, user_id="u", role="guest") as trace:
        messages = client.inject(MESSAGES)
    assert messages[1] is MESSAGES[1]
    assert messages[0]["content"].startswith("s\n\n<teachback-lessons>")
    assert "| 14 days." in messages[0]["content"]
    assert not injected(client, role="admin")
    assert client.flush(timeout_s=20)
    until(lambda: trail(server, trace.id))
    (kept,) = trail(server, trace.id)
    assert (kept["lesson_id"], kept["position"], kept["reason"]) == (one.id, 1, "exact")


def test_every_shape_is_composed_and_awaited(server: Server, make: Callable[..., Client]) -> None:
    """The arguments of a call of each official client, and the asynchronous twins."""
    planted(server, situation=QUERY, text="14 days.")
    client = make()
    until(lambda: injected(client))
    body = {"model": "m", "system": "s", "messages": [{"role": "user", "content": QUERY}]}
    assert client.inject_body(body, shape="anthropic")["system"].startswith("s\n\n<teachback")
    body = {"model": "m", "input": QUERY}
    composed = client.inject_body(body, shape="responses")
    assert "14 days." in composed["instructions"]

    async def ask() -> None:
        assert (await client.ainject(MESSAGES))[0]["content"] != "s"
        assert await client.ainject_body(body, shape="responses") == composed
        assert (await client.arecall(QUERY)).fits

    asyncio.run(ask())


def test_recall_tells_lessons_and_cases(server: Server, make: Callable[..., Client]) -> None:
    """With reasons; and plainly that nothing fits."""
    one = planted(server, situation=QUERY, text="14 days.")
    client = make()
    until(lambda: client.recall(QUERY).fits)
    found = client.recall(QUERY, limit=3)
    assert [(row["id"], row["reason"]) for row in found.lessons] == [(one.id, "exact")]
    assert found.answered
    nothing = client.recall("Something else")
    assert (nothing.fits, nothing.lessons, nothing.answered) == (False, (), True)


def test_killed_lesson_is_gone_within_a_second(server: Server, make: Callable[..., Client]) -> None:
    """From the application's memory too."""
    one = planted(server, situation=QUERY)
    client = make(local_recall=True)
    until(lambda: client._recaller.is_local and injected(client))
    changed(server, one, killed_at=datetime.now(UTC))
    assert until(lambda: not injected(client)) < 1.0


def test_local_recall_goes_on_when_the_server_is_down(
    postgres: str, template: str, tmp_path: Path
) -> None:
    """What was learned last stays; with a server alone it costs a moment, once."""
    with fresh_database(postgres, template) as dsn:
        with serving(dsn) as url:
            server = Server(url, dsn, asyncio.run(_install(dsn)))
            with server.client() as http:
                http.patch("/v1/projects/current", json={"recall": {"holdout": 0, "propensity": 1}})
            planted(server, situation=QUERY)
            local = Client(url, server.secret_key, spool_dir=tmp_path / "a", local_recall=True)
            remote = Client(url, server.secret_key, spool_dir=tmp_path / "b")
            until(lambda: local._recaller.is_local and injected(local))
        assert injected(local)
        begun = time.monotonic()
        assert [injected(remote) for _ in range(50)] == [False] * 50
        assert remote.recall(QUERY).answered is False
        assert time.monotonic() - begun < 5
        local.close(timeout_s=0)
        remote.close(timeout_s=0)


def test_application_goes_on_when_nothing_is_set_up(
    server: Server, make: Callable[..., Client], tmp_path: Path
) -> None:
    """Without an address, with a wrong key, with messages that are none: they pass as they are."""
    planted(server, situation=QUERY)
    off = Client(None, None)
    wrong = Client(server.url, server.public_key, spool_dir=tmp_path, local_recall=True)
    mute = make(capture_content=False)
    for client in (off, wrong, mute):
        assert client.inject(MESSAGES) is MESSAGES
        assert client.recall(QUERY) == sdk_recall.Recalled()
    for strange in (None, 7, "text", [], [None], [{"role": "user"}], [object()]):
        assert make().inject(strange) is strange  # type: ignore[arg-type]
    assert not wrong._recaller.is_local
    wrong.close(timeout_s=0)


def test_content_stays_here_when_it_is_not_captured(
    server: Server, make: Callable[..., Client]
) -> None:
    """Local recall needs no query to leave the process."""
    planted(server, situation=QUERY)
    client = make(capture_content=False, local_recall=True)
    until(lambda: injected(client))


def test_child_goes_on_after_a_fork(server: Server, make: Callable[..., Client]) -> None:
    """With what the parent knew, and with changes of its own."""
    one = planted(server, situation=QUERY)
    client = make(local_recall=True)
    until(lambda: client._recaller.is_local and injected(client))
    child = os.fork()
    if child == 0:
        deadline = time.monotonic() + 20
        known = injected(client)
        while injected(client) and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if known and not injected(client) else 1)
    time.sleep(0.2)
    changed(server, one, state="retired")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_choice_is_the_servers_when_the_scores_are(server: Server) -> None:
    """The same matches, end user and rules lead to the same, byte for byte, on both sides."""
    lessons = [
        lesson(f"l{n}", kind=kind, priority=n % 3, scope=Scope(roles=("a",)) if n % 4 else Scope())
        for n, kind in enumerate(["guidance", "fact", "template", "example"] * 5)
    ]
    edge = Edge("http://127.0.0.1:1", "k", gate=CosineGate(0.3))
    edge.stop()
    for number in range(40):
        ask = Ask(query="text", user_id=f"u-{number}", trace_id=f"t-{number}", role="a")
        vector = StaticModel().embed(ask.query)
        edge.take(_body(lessons))
        known = edge._known
        assert known is not None
        matches = known.nearest.matches(ask, vector)
        here = edge.inject(ask)
        there = decide(
            [Match(lesson=m.lesson, score=m.score, exact=m.exact, rank=m.rank) for m in matches],
            ask, Rules(), gate=CosineGate(0.3), salt="p", now=datetime.now(UTC),
            alike=known.nearest.alike,
        )  # fmt: skip
        assert here is not None
        assert (here.outcome, here.text, here.injections) == (
            there.outcome, there.text, there.injections,
        )  # fmt: skip


def test_lesson_of_a_later_kind_is_left_out() -> None:
    """A newer server does not take the others away."""
    edge = Edge("http://127.0.0.1:1", "k")
    edge.stop()
    known = lesson("a", situation=QUERY)
    later = replace(known, id="b", kind="riddle")  # type: ignore[arg-type]
    edge.take(_body([known, later]))
    assert edge._known is not None
    assert [one.id for one in edge._known.nearest.lessons] == ["a"]


@pytest.mark.parametrize("text", ["", "   ", "\ud800", "🤷" * 3_000, "a" * 1_000_000, "\x00"])
def test_any_text_has_a_vector(text: str) -> None:
    """Of length one or nothing, whatever people type."""
    length = float(np.linalg.norm(StaticModel().embed(text)))
    assert length == pytest.approx(1, abs=1e-5) or length == 0


def _body(lessons: list[Any]) -> bytes:
    return msgspec.json.encode({
        "salt": "p", "rules": Rules().flat(),
        "lessons": [lesson_in_force_view(one) for one in lessons],
    })  # fmt: skip
