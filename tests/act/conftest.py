"""A project with its people, and lessons in it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conftest import install
from teachback.act import curate
from teachback.act.curate import Wording
from teachback.model.lesson import Actor, Lesson, LessonState, Scope
from teachback.store.database import Database


@dataclass(frozen=True, slots=True)
class Desk:
    """Alice at work on the lessons of her project."""

    db: Database
    project_id: str
    alice: Actor
    server: Actor

    async def draft(self, situation: str, text: str = "Say so.", **fields: object) -> Lesson:
        wording = Wording(situation=situation, text=text, **fields)  # type: ignore[arg-type]
        return await curate.draft(self.db, self.project_id, "fact", wording, by=self.server)

    async def live(
        self, situation: str, text: str = "Say so.", *, scope: Scope | None = None,
        state: LessonState = "live", despite: tuple[str, ...] = (),
    ) -> Lesson:  # fmt: skip
        lesson = await self.draft(situation, text, scope=scope or Scope())
        await self.approve(lesson.id, 1)
        return await self.move(lesson.id, state, despite=despite)

    async def approve(self, lesson_id: str, version: int) -> Lesson:
        return await curate.approve(
            self.db, self.project_id, lesson_id, version, by=self.alice, reason="read"
        )

    async def move(self, lesson_id: str, to: LessonState, despite: tuple[str, ...] = ()) -> Lesson:
        return await curate.move(
            self.db, self.project_id, lesson_id, to, by=self.alice, reason="try", despite=despite
        )


@pytest.fixture
async def desk(db: Database) -> Desk:
    installation = await install(db)
    alice = Actor(kind="member", id=installation.alice.id, name="Alice", role="owner")
    server = Actor(kind="key", id="k", name="server")
    return Desk(db, installation.project.id, alice, server)
