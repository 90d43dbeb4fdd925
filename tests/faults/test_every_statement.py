"""The connection dies before each statement of a shared commit in turn: old state or new state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, AsyncCursor

from teachback.errors import Unavailable
from teachback.record import accept as accept_module
from teachback.record import writer as writer_module
from teachback.record.accept import Item
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.writer import Writer
from teachback.store.database import Database
from tests_support import rating, trace

pytestmark = pytest.mark.anyio

#: What psycopg sends to the server with: each call is one statement, COPY or COMMIT.
CALLS: list[tuple[Any, str]] = [
    (AsyncCursor, "execute"),
    (AsyncCursor, "executemany"),
    (AsyncCursor, "copy"),
    (AsyncConnection, "commit"),
]
TABLES = ("trace", "span", "content", "session", "version", "feedback", "feedback_history")


class Killer:
    """Ends the server's side of the writer's connection right before its n-th call."""

    def __init__(self, dsn: str, at: int, *, every_attempt: bool) -> None:
        self._dsn, self._at, self._every_attempt = dsn, at, every_attempt
        self._calls: dict[int, int] = {}
        self.kills = 0

    def before(self, connection: AsyncConnection[Any]) -> None:
        if connection.autocommit:  # the readers' pool; only the writer has transactions of its own
            return
        count = self._calls[id(connection)] = self._calls.get(id(connection), 0) + 1
        if count == self._at and (self._every_attempt or not self.kills):
            self.kills += 1
            with psycopg.connect(self._dsn, autocommit=True) as other:
                pid = connection.info.backend_pid
                gone = other.execute("select pg_terminate_backend(%s, 5000)", (pid,)).fetchone()
                assert gone == (True,)


@contextmanager
def killing(killer: Killer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the killer before psycopg's own methods, which then run as they are."""
    with monkeypatch.context() as patch:
        for owner, name in CALLS:
            patch.setattr(owner, name, _preceded(getattr(owner, name), killer))
        yield


def _preceded(method: Callable[..., Any], killer: Killer) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        killer.before(self if isinstance(self, AsyncConnection) else self.connection)
        return method(self, *arguments, **options)

    return call


def _before(intake: Intake) -> list[Item]:
    """What is stored already: a session's turn, a judgement, and feedback that waits."""
    return [
        intake.trace(json.dumps(_turn("t-1", 1)).encode()),
        intake.feedback(json.dumps(rating("t-1", 0, id="f-1", occurred_at=_at(1))).encode()),
        intake.feedback(json.dumps(rating("t-2", 0, id="f-2", occurred_at=_at(1))).encode()),
    ]


def _commit(intake: Intake) -> list[Item]:
    """A commit with everything in it: new and known texts, a judgement replaced, targets joined."""
    return [
        intake.trace(json.dumps(_turn("t-1", 1)).encode()),
        intake.trace(json.dumps(_turn("t-2", 2)).encode()),
        intake.trace(json.dumps(_turn("t-3", 3)).encode()),
        intake.feedback(json.dumps(rating("t-1", 1, id="f-3", occurred_at=_at(2))).encode()),
        intake.feedback(json.dumps(rating("t-3", 1, id="f-4", occurred_at=_at(2))).encode()),
        intake.feedback(json.dumps(rating("t-9", 1, id="f-5", occurred_at=_at(2))).encode()),
    ]


def _turn(trace_id: str, turn: int) -> dict[str, object]:
    return trace(
        trace_id, session_id="s-1", turn=turn, release=f"r-{turn}",
        spans=[{"id": "a", "name": "x"}],
        context=[{"kind": "document", "name": "d", "version": f"{turn}", "content": f"x {turn}"}],
    )  # fmt: skip


def _at(hour: int) -> str:
    return f"2026-03-01T{hour:02}:00:00Z"


async def _state(db: Database, project_id: str) -> dict[str, list[str]]:
    """Everything a project holds, by table, without the ids and the time that are made."""
    return {
        table: [
            row["text"]
            for row in await db.all(
                "select (to_jsonb(t) - 'project_id' - 'place_id' - 'used_at' || "
                f"jsonb_build_object('place', p.hash))::text as text from {table} t "
                "left join place p on p.project_id = t.project_id "
                "and p.id = (to_jsonb(t) ->> 'place_id')::integer "
                "where t.project_id = %s order by 1",
                (project_id,),
            )
        ]
        for table in TABLES
    }


class Stage:
    """A fresh project in the old state for each fault, and what it looks like before and after."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._now = datetime.now(UTC)

    async def intake(self) -> Intake:
        project = await make_project(self._db, "x")
        return Intake(project=project, token=None, now=self._now)

    async def write(self, items: list[Item]) -> list[object]:
        writer = Writer(self._db)
        await writer.start()
        try:
            return list(await writer.write(items))
        finally:
            await writer.stop()

    async def old(self) -> tuple[Intake, dict[str, list[str]]]:
        intake = await self.intake()
        await self.write(_before(intake))
        return intake, await _state(self._db, intake.project.id)


@pytest.mark.parametrize("few", [accept_module.FEW, 0], ids=["insert", "copy"])
@pytest.mark.parametrize("every_attempt", [False, True], ids=["once", "always"])
async def test_state_is_old_or_new_when_the_connection_dies_before_any_statement(
    db: Database, dsn: str, monkeypatch: pytest.MonkeyPatch, every_attempt: bool, few: int
) -> None:
    """One death: the commit starts over and stores all once. Deaths without end: 503 and nothing.

    Each of the statements gets its turn, and afterwards the same records can be sent again.
    """
    monkeypatch.setattr(writer_module, "PAUSE_S", 0.001)
    monkeypatch.setattr(accept_module, "FEW", few)
    stage = Stage(db)
    intake, old = await stage.old()
    answers = await stage.write(_commit(intake))
    assert answers == ["duplicate"] + ["stored"] * 5
    new = await _state(db, intake.project.id)
    assert all(len(new[table]) > len(old[table]) for table in TABLES if table != "session")
    statement, refusals, killed = 0, 0, True
    while killed:
        statement += 1
        intake, before = await stage.old()
        assert before == old
        killer = Killer(dsn, statement, every_attempt=every_attempt)
        with killing(killer, monkeypatch):
            outcome = await _outcome(stage.write(_commit(intake)))
        killed = killer.kills > 0
        # The last death comes after the commit: then all is stored, and the answer says so.
        assert outcome == answers or (every_attempt and outcome == "unavailable"), statement
        refusals += outcome == "unavailable"
        state = await _state(db, intake.project.id)
        assert state == (old if outcome == "unavailable" else new), statement
        again = await stage.write(_commit(intake))
        assert again == (answers if outcome == "unavailable" else ["duplicate"] * 6), statement
        assert await _state(db, intake.project.id) == new, statement
    # Look-ups, rows, what completes them, the commit, its end, and a last round without a death.
    assert statement > 12
    assert refusals == (statement - 2 if every_attempt else 0)


async def _outcome(writing: Any) -> object:
    try:
        return await asyncio.wait_for(writing, 30)
    except Unavailable as error:
        return error.type
