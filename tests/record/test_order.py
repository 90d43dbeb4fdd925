"""The current judgement does not depend on the order in which judgements arrive."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from teachback.model.ids import new_id
from teachback.model.project import Project
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.trail import get_judgement
from teachback.record.writer import Writer
from teachback.store.database import Database
from teachback.store.feedback import NewFeedback

pytestmark = pytest.mark.anyio

EVENTS = [
    {"id": "e1", "score": 0, "occurred_at": "2026-03-01T12:00:01Z"},
    {"id": "e2", "score": 1, "occurred_at": "2026-03-01T12:00:02Z"},
    {"id": "e3", "withdrawn": True, "occurred_at": "2026-03-01T12:00:03Z"},
    # At the same moment as e3: the greater id is the later one.
    {"id": "e4", "score": 0, "occurred_at": "2026-03-01T12:00:03Z"},
]


def made(project: Project, trace_id: str, event: dict[str, object]) -> NewFeedback:
    body = {"kind": "rating", "scale": "thumbs", "trace_id": trace_id, "author": "bob"} | event
    body["id"] = f"{trace_id}-{event['id']}"
    intake = Intake(project=project, token=None, now=datetime.now(UTC))
    return intake.feedback(json.dumps(body).encode())


@pytest.fixture
async def writer(db: Database) -> AsyncIterator[Writer]:
    opened = Writer(db)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.mark.parametrize("together", [True, False])
async def test_every_order_ends_in_the_same_state(
    db: Database, writer: Writer, together: bool
) -> None:
    """All 24 orders, one by one or in one commit, end alike: latest in force, all others kept."""
    project = await make_project(db, "x")
    ends = set()
    for order in itertools.permutations(EVENTS):
        trace_id = uuid.uuid4().hex
        items = [made(project, trace_id, event) for event in order]
        for group in [items] if together else [[item] for item in items]:
            assert await writer.write(group) == ["stored"] * len(group)
        judgement = await get_judgement(db, project.id, f"{trace_id}-e1")
        ends.add(
            (
                judgement.feedback.id.removeprefix(trace_id),
                judgement.feedback.score,
                judgement.negative,
                tuple(earlier.id.removeprefix(trace_id) for earlier in judgement.history),
            )
        )
    assert ends == {("-e4", 0.0, True, ("-e1", "-e2", "-e3"))}


async def test_two_writers_end_in_the_same_state(dsn: str, db: Database) -> None:
    """Two processes that store the events of one key at once keep every one of them."""
    project = await make_project(db, "x")
    writers = [Writer(db), Writer(db)]
    for writer in writers:
        await writer.start()
    trace_id = new_id()
    events = [{"id": f"e{i:02}", "score": i % 2} for i in range(20)]
    outcomes = await asyncio.gather(
        *[
            writers[i % 2].write([made(project, trace_id, event | {"occurred_at": _at(i)})])
            for i, event in enumerate(events)
        ],
        # The same events once more, from the other writer.
        *[
            writers[(i + 1) % 2].write([made(project, trace_id, event | {"occurred_at": _at(i)})])
            for i, event in enumerate(events)
        ],
    )
    flat = [outcome for group in outcomes for outcome in group]
    assert sorted(map(str, flat)) == ["duplicate"] * 20 + ["stored"] * 20
    judgement = await get_judgement(db, project.id, f"{trace_id}-e00")
    assert judgement.feedback.id == f"{trace_id}-e19"
    assert len(judgement.history) == 19
    for writer in writers:
        await writer.stop()


def _at(i: int) -> str:
    return f"2026-03-01T12:00:{i:02}Z"
