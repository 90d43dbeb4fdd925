"""Lessons for tests, as the store returns them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from conftest import Server
from teachback.model.ids import new_id
from teachback.model.lesson import Lesson, LessonVersion
from teachback.store.database import Database
from teachback.store.lessons import add_lesson, add_version, changing, save_lesson

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def lesson(name: str = "l", **values: Any) -> Lesson:
    """Make a live piece of guidance, or what `values` say."""
    given: dict[str, Any] = {
        "id": name, "project_id": "p", "kind": "guidance", "state": "live", "version": 1,
        "latest": 1, "situation": f"situation {name}", "text": f"text {name}", "author": "Alice",
        "approved_at": NOW, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    given |= values
    if given["kind"] == "example":
        given.setdefault("answer", f"answer {name}")
    return Lesson(**given)


async def plant(db: Database, project_id: str, *lessons: Lesson) -> None:
    """Keep lessons as they are, past the rules of who may do what."""
    async with changing(db, project_id) as connection:
        for one in lessons:
            await add_lesson(connection, one)
            wording = LessonVersion(
                version=one.version, situation=one.situation, text=one.text, answer=one.answer,
                scope=one.scope, priority=one.priority, expires_at=one.expires_at,
                provenance=one.provenance, author=one.author, created_at=one.created_at,
                approved_at=one.approved_at,
            )  # fmt: skip
            await add_version(connection, project_id, one.id, wording)
            await save_lesson(connection, one)


def planted(server: Server, **values: Any) -> Lesson:
    """Keep one lesson in a server's project; its name is drawn."""
    project_id = server.installation.project.id
    one = lesson(new_id(), project_id=project_id, **values)
    run(server.dsn, lambda db: plant(db, project_id, one))
    return one


def changed(server: Server, one: Lesson, **values: Any) -> Lesson:
    """Change where a lesson stands."""
    after = replace(one, updated_at=datetime.now(UTC), **values)

    async def change(db: Database) -> None:
        async with changing(db, one.project_id) as connection:
            await save_lesson(connection, after)

    run(server.dsn, change)
    return after


def run(dsn: str, work: Callable[[Database], Awaitable[None]]) -> None:
    """Do something on a database from a test that is not asynchronous."""

    async def opened() -> None:
        db = Database(dsn, max_size=2)
        await db.open()
        try:
            await work(db)
        finally:
            await db.close()

    asyncio.run(opened())
