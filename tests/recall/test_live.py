"""Live lessons in memory follow the database, and let go of what was taken out at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from conftest import install
from support.lessons import lesson, plant
from teachback.core.nearest import Vectors
from teachback.model.lesson import Lesson
from teachback.model.recall import Ask
from teachback.recall.live import Live
from teachback.store import live as store
from teachback.store import projects
from teachback.store.database import Database
from teachback.store.lessons import changing, save_lesson

ASK = Ask(query="How do I get a refund?")


class Letters:
    """A model whose vectors count letters: deterministic, and near for texts that look alike."""

    model = "letters"
    dimensions = 26

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        rows = [[text.lower().count(chr(97 + n)) + 0.01 for n in range(26)] for text in texts]
        found = np.array(rows, np.float32)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


@pytest.fixture
async def project_id(db: Database) -> str:
    return (await install(db)).project.id


@pytest.fixture
async def live(db: Database, dsn: str) -> AsyncIterator[Live]:
    following = Live(db, Letters(), dsn=dsn)
    await following.start()
    yield following
    await following.stop()


async def until(live: Live, project_id: str, names: set[str], limit_s: float = 30) -> float:
    """Wait until exactly these lessons are in memory; return how long it took."""
    begun = time.monotonic()
    while {one.id for one in (await live.get(project_id)).lessons} != names:
        assert time.monotonic() - begun < limit_s
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def change(db: Database, one: Lesson) -> None:
    async with changing(db, one.project_id) as connection:
        await save_lesson(connection, replace(one, updated_at=datetime.now(UTC)))


@pytest.mark.anyio
async def test_only_what_is_in_force_is_in_memory(
    db: Database, live: Live, project_id: str
) -> None:
    """Drafts, what was killed, expired or retired, and what nobody approved stay out."""
    now = datetime.now(UTC)
    out: list[dict[str, Any]] = [
        {"state": "draft"}, {"state": "approved"}, {"state": "retired"}, {"killed_at": now},
        {"expires_at": now}, {"approved_at": None},
    ]  # fmt: skip
    lessons = [lesson(f"out{n}", project_id=project_id, **values) for n, values in enumerate(out)]
    lessons.append(lesson("in", project_id=project_id))
    lessons.append(lesson("canary", state="canary", project_id=project_id))
    await plant(db, project_id, *lessons)
    await until(live, project_id, {"in", "canary"})


@pytest.mark.anyio
async def test_change_is_followed_at_once(db: Database, live: Live, project_id: str) -> None:
    """A new lesson comes, a killed one goes, and the tag tells each from the other."""
    assert (await live.get(project_id)).lessons == ()
    one, other = lesson("a", project_id=project_id), lesson("b", project_id=project_id)
    await plant(db, project_id, one, other)
    await until(live, project_id, {"a", "b"})
    tag = (await live.get(project_id)).tag
    await change(db, replace(one, killed_at=datetime.now(UTC)))
    await until(live, project_id, {"b"})
    assert (await live.get(project_id)).tag != tag


@pytest.mark.anyio
async def test_only_what_changed_is_read_again(db: Database, live: Live, project_id: str) -> None:
    """A change among thousands costs one lesson; the others are the very same."""
    lessons = [lesson(f"l{n:03}", project_id=project_id) for n in range(600)]
    await plant(db, project_id, *lessons)
    await until(live, project_id, {one.id for one in lessons})
    before = {one.id: one for one in (await live.get(project_id)).lessons}
    tag = (await live.get(project_id)).tag
    await change(db, replace(lessons[0], state="canary"))
    after = {one.id: one for one in (await live.after(project_id, tag, 20)).lessons}
    assert after["l000"].state == "canary"
    assert all(after[name] is before[name] for name in after if name != "l000")


@pytest.mark.anyio
async def test_change_is_found_when_nobody_told(
    db: Database, dsn: str, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a line to listen on, a short poll stands in."""
    deaf = Live(db, None, dsn="host=/nonexistent")
    await deaf.start()
    one = lesson("a", project_id=project_id)
    await plant(db, project_id, one)
    await until(deaf, project_id, {"a"})
    await change(db, replace(one, killed_at=datetime.now(UTC)))
    await until(deaf, project_id, set())
    await deaf.stop()


@pytest.mark.anyio
async def test_project_switch_and_rules_are_followed(
    db: Database, live: Live, project_id: str
) -> None:
    """Whatever else recall uses is followed too."""
    await plant(db, project_id, lesson("a", project_id=project_id))
    await until(live, project_id, {"a"})
    await projects.change_rules(db, project_id, {"holdout": 0.25, "intro": "Lies."})
    snapshot = await live.after(project_id, (await live.get(project_id)).tag, 5)
    assert (snapshot.rules.holdout, snapshot.rules.wording.intro) == (0.25, "Lies.")
    await projects.change_rules(db, project_id, {"holdout": None})
    snapshot = await live.after(project_id, snapshot.tag, 5)
    assert (snapshot.rules.holdout, snapshot.rules.wording.intro) == (0.05, "Lies.")


@pytest.mark.anyio
async def test_vectors_are_made_once(db: Database, dsn: str, live: Live, project_id: str) -> None:
    """Behind the lessons, kept for every process, and not again for those that stayed."""
    await plant(db, project_id, *[
        lesson(f"l{n}", situation=f"situation {chr(97 + n)}", project_id=project_id)
        for n in range(20)
    ])  # fmt: skip
    vector = Letters().embed(["situation c"])[0]
    found = (await live.get(project_id)).nearest.matches(ASK, vector)
    while len(found) < 20:
        await asyncio.sleep(0.01)
        found = (await live.get(project_id)).nearest.matches(ASK, vector)
    assert (found[0].lesson.id, round(found[0].score, 3)) == ("l2", 1.0)
    keys = [(f"l{n}", 1) for n in range(20)]
    assert len(await store.read_vectors(db, project_id, "letters", keys)) == 20
    second = Letters()
    other = Live(db, second, dsn=dsn)
    assert len((await other.get(project_id)).nearest.matches(ASK, vector)) == 20
    assert second.texts == []


@pytest.mark.anyio
async def test_killed_lesson_goes_while_others_wait_for_vectors(
    db: Database, dsn: str, project_id: str
) -> None:
    """A slow model keeps nothing in force."""

    class Slow(Letters):
        def embed(self, texts: Sequence[str]) -> Vectors:
            time.sleep(1.5)
            return super().embed(texts)

    live = Live(db, Slow(), dsn=dsn)
    await live.start()
    one = lesson("a", project_id=project_id)
    await plant(db, project_id, one, lesson("b", project_id=project_id))
    await until(live, project_id, {"a", "b"})
    await change(db, replace(one, killed_at=datetime.now(UTC)))
    assert await until(live, project_id, {"b"}) < 1.2
    await live.stop()


@pytest.mark.anyio
async def test_memory_is_bounded(
    db: Database, dsn: str, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Projects that nobody asks for make room for others, and are read again when asked for."""
    monkeypatch.setattr("teachback.recall.live.MAX_PROJECTS", 2)
    live = Live(db, None, dsn=dsn)
    await plant(db, project_id, lesson("a", project_id=project_id))
    for _ in range(3):
        await live.get((await install(db)).project.id)
    assert live.find(project_id) is None
    assert len((await live.get(project_id)).lessons) == 1
    assert live.lessons == 1
