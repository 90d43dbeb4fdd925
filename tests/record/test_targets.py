"""Feedback finds its target whichever comes first, without a worker's help."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from teachback.model.project import Project
from teachback.record.accept import Item
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.writer import Writer
from teachback.store.database import Database
from teachback.store.listing import Filters, list_feedback
from tests_support import rating, trace

pytestmark = pytest.mark.anyio

TARGETS: list[dict[str, Any]] = [
    {"trace_id": "t"},
    {"trace_id": "t", "span_id": "a"},
    {"session_id": "s"},
]
TRACE = trace("t", session_id="s", spans=[{"id": "a", "name": "b"}])


@pytest.fixture
async def writer(db: Database) -> AsyncIterator[Writer]:
    opened = Writer(db)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
async def project(db: Database) -> Project:
    return await make_project(db, "Support")


def _intake(project: Project) -> Intake:
    return Intake(project=project, token=None, now=datetime.now(UTC))


def _feedback(target: dict[str, Any]) -> bytes:
    return json.dumps(rating("t", 1) | {"trace_id": None} | target).encode()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("order", ["feedback first", "target first", "together"])
async def test_feedback_is_matched_as_soon_as_its_target_is_there(
    db: Database, writer: Writer, project: Project, target: dict[str, Any], order: str
) -> None:
    """A trace, a span of it, or a session; until then the feedback is listed as unmatched."""
    intake = _intake(project)
    items: list[Item] = [
        intake.feedback(_feedback(target)),
        intake.trace(json.dumps(TRACE).encode()),
    ]
    if order == "target first":
        items.reverse()
    for group in [items] if order == "together" else [[item] for item in items]:
        assert await writer.write(group) == ["stored"] * len(group)
    (row,) = await list_feedback(db, project.id, Filters())
    assert row["matched"]


async def test_feedback_of_another_project_is_not_matched(
    db: Database, writer: Writer, project: Project
) -> None:
    """The same ids elsewhere are other targets."""
    other = await make_project(db, "Other")
    waiting = [_intake(project).feedback(_feedback(target)) for target in TARGETS]
    await writer.write(waiting)
    await writer.write([_intake(other).trace(json.dumps(TRACE).encode())])
    rows = await list_feedback(db, project.id, Filters())
    assert [row["matched"] for row in rows] == [False] * 3
