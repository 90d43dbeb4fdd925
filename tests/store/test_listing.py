"""Pages of feedback are the same whichever way they are found."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import sql

from teachback.core.filters import parse
from teachback.model.project import Project
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.writer import Writer
from teachback.store import listing
from teachback.store.database import Database
from teachback.store.feedback import match_waiting
from teachback.store.listing import Filters, list_feedback
from teachback.store.where import where

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=4)
CONDITIONS = [
    "role:admin", "-role:admin", "role:adm*,guest", "env:test", "model:m-1", "model:nobody",
    "prompt:p@2", "prompt:p*@2", "-prompt:p", "release:r-0", "kind:rating", "-kind:rating,reasons",
    "negative:yes", "name:copy", "reason:tone", "reason:to*", "-reason:tone", "tag:vip",
    "meta.plan:pro", "meta.seats:12", "meta.seats:>4", "meta.beta:true", "-meta.plan:pro",
    "user:u-1", "latency:>500", "has:comment", "author:a", "unmatched:yes", "error:yes",
    "since:2026-03-02", "until:2026-03-03", "session.turns:>1", "document:d@1",
]  # fmt: skip


class Recorder:
    """Writes records as a client's requests do."""

    def __init__(self, db: Database, writer: Writer, project: Project) -> None:
        self.db, self.writer, self.project = db, writer, project

    async def write(self, *, traces: list[Any] = [], feedback: list[Any] = []) -> None:  # noqa: B006 - never changed
        intake = Intake(project=self.project, token=None, now=NOW)
        items = [intake.trace(json.dumps(one).encode()) for one in traces] + [
            intake.feedback(json.dumps(one).encode()) for one in feedback
        ]
        assert set(await self.writer.write(items)) <= {"stored", "duplicate"}

    async def ids(self, query: str, **more: Any) -> list[str]:
        narrowed = where(parse(query), "feedback", NOW)
        rows = await list_feedback(
            self.db, self.project.id, Filters(), narrowed=narrowed, limit=more.pop("limit", 500),
            **more,
        )  # fmt: skip
        return [row["id"] for row in rows]

    async def scanned(self, query: str) -> list[str]:
        """All that meets the conditions, by the whole of them on every row."""
        narrowed = where(parse(query), "feedback", NOW)
        rows = await self.db.all(
            sql.SQL(
                "select f.id from feedback f where f.project_id = %(project)s and ({}) is true "
                "order by f.occurred_at desc, f.id desc"
            ).format(narrowed.text),
            {"project": self.project.id, **narrowed.params},
        )
        return [row["id"] for row in rows]


@pytest.fixture
async def recorder(db: Database) -> AsyncIterator[Recorder]:
    writer = Writer(db)
    await writer.start()
    yield Recorder(db, writer, await make_project(db, "x"))
    await writer.stop()


def _trace(draw: random.Random, name: str) -> dict[str, Any]:
    at = START + timedelta(minutes=draw.randrange(4 * 24 * 60))
    prompt = {"kind": "system_prompt", "name": "p", "version": draw.choice("12"), "content": "x"}
    document = {"kind": "document", "name": "d", "version": draw.choice("12"), "content": "y"}
    plan = draw.choice(["pro", 12, True, "12", None])
    return {
        "id": name, "query": "?", "started_at": at.isoformat(), "session_id": draw.choice("st"),
        "request_model": draw.choice(["m-1", "m-2"]), "environment": draw.choice(["prod", "test"]),
        "role": draw.choice(["admin", "guest", None]), "user_id": draw.choice(["u-1", "u-2"]),
        "release": f"r-{(at - START).days}", "tags": ["vip"] if draw.random() < 0.2 else [],
        "context": draw.sample([prompt, document], draw.randrange(3)),
        "metadata": {"plan": plan, "seats": draw.choice([4, 12, "12"]), "beta": plan is True},
        "latency_ms": draw.randrange(1_000), "error": "x" if draw.random() < 0.2 else None,
    }  # fmt: skip


def _feedback(draw: random.Random, number: int, names: list[str]) -> dict[str, Any]:
    target = {"trace_id": draw.choice(names)} if draw.random() < 0.9 else {"session_id": "s"}
    shapes: list[dict[str, Any]] = [
        {"kind": "rating", "scale": "thumbs", "score": draw.randrange(2), "comment": "so"},
        {"kind": "reasons", "labels": draw.sample(["outdated", "tone", "solved"], 2)},
        {"kind": "implicit", "name": "copy", "score": 1},
    ]
    at = START + timedelta(minutes=draw.randrange(4 * 24 * 60) // 60 * 60)
    return {
        "id": f"f-{number}", "author": draw.choice("ab"), "occurred_at": at.isoformat(),
    } | target | draw.choice(shapes)  # fmt: skip


@pytest.mark.parametrize("walked", [3, 10_000])
@pytest.mark.parametrize("seed", range(2))
async def test_pages_agree_with_the_plain_scan(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, seed: int, walked: int
) -> None:
    """Met on the way, merged or gathered; newest or oldest first; page by page, each once."""
    monkeypatch.setattr(listing, "WALKED", walked)
    monkeypatch.setattr(listing, "WALKED_ROWS", walked)
    monkeypatch.setattr(listing, "WALKED_FAR", walked)
    draw = random.Random(seed)
    names = [f"t-{n}" for n in range(60)]
    said = [_feedback(draw, n, names) for n in range(150)]
    # Some feedback comes before its trace, and some traces never come.
    await recorder.write(feedback=said[:40])
    await recorder.write(traces=[_trace(draw, name) for name in names[:50]])
    await recorder.write(feedback=said[40:])
    for _ in range(40):
        query = " ".join(draw.sample(CONDITIONS, draw.randint(1, 3)))
        every = await recorder.scanned(query)
        assert await recorder.ids(query) == every, query
        assert await recorder.ids(query, oldest=True) == every[::-1], query
        first = await recorder.ids(query, limit=7)
        assert first == every[:7], query
        if first:
            row = await recorder.db.one("select * from feedback where id = %s", (first[-1],))
            assert row is not None
            before = (row["occurred_at"], row["id"])
            assert await recorder.ids(query, before=before) == every[7:], query


async def test_place_reaches_what_was_said_before_and_after(recorder: Recorder) -> None:
    """Feedback before its trace, with it, after it, and in place of earlier feedback."""
    base = {"trace_id": "t", "kind": "rating", "scale": "thumbs", "score": 0}
    at = {"occurred_at": START.isoformat()}
    await recorder.write(feedback=[base | at | {"id": "before", "author": "a"}])
    assert await recorder.ids("role:admin") == []
    assert await recorder.ids("-role:admin") == ["before"]
    trace = {"id": "t", "query": "?", "started_at": START.isoformat(), "role": "admin"}
    await recorder.write(
        traces=[trace], feedback=[base | at | {"id": "with", "author": "b", "name": "n"}]
    )
    await recorder.write(feedback=[base | at | {"id": "after", "author": "c"}])
    later = {"occurred_at": NOW.isoformat()}
    await recorder.write(feedback=[base | later | {"id": "instead", "author": "a", "score": 1}])
    assert await recorder.ids("role:admin") == ["instead", "with", "after"]
    assert await recorder.ids("-role:admin") == []


async def test_place_reaches_what_missed_its_trace(recorder: Recorder) -> None:
    """Two processes that store the two at one moment: they are joined a moment later."""
    said = {"id": "f", "trace_id": "t", "kind": "rating", "scale": "thumbs", "score": 0}
    trace = {"id": "t", "query": "?", "started_at": START.isoformat(), "role": "admin"}
    await recorder.write(traces=[trace], feedback=[said])
    await recorder.db.run("update feedback set matched = false, place_id = 0")
    assert await recorder.ids("role:admin") == []
    assert await match_waiting(recorder.db) == 1
    assert await recorder.ids("role:admin") == ["f"]
