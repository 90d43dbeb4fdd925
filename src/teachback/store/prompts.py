"""Prompts: their versions, and the history of each."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from teachback.errors import NotFound
from teachback.model.lesson import Actor
from teachback.model.prompt import Prompt, PromptEvent, PromptVersion
from teachback.store.database import Connection, Database, Row

#: Versions and events of one prompt that are shown.
MAX_SHOWN = 500

_FIELDS = [one.name for one in fields(PromptVersion)]


async def list_prompts(
    db: Database, project_id: str, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[Prompt]:
    """Return prompts, last changed first; `before` is (updated_at, name) last seen."""
    rows = await db.all(
        """
        select * from (
            select name, max(version) filter (where state = 'live') as production,
                   max(version) filter (where state = 'canary') as canary,
                   max(version) as latest, count(*) filter (where state = 'draft') as drafts,
                   max(updated_at) as updated_at
            from prompt_version where project_id = %(project)s group by name) as prompt
        where %(at)s::timestamptz is null or (updated_at, name) < (%(at)s, %(name)s)
        order by updated_at desc, name desc limit %(limit)s
        """,
        {
            "project": project_id, "at": before and before[0], "name": before and before[1],
            "limit": limit,
        },
    )  # fmt: skip
    return [Prompt(**row) for row in rows]


async def list_versions(db: Database, project_id: str, name: str) -> list[PromptVersion]:
    """Return the versions of a prompt, newest first; raises NotFound when there is none."""
    rows = await db.all(
        """
        select * from prompt_version where project_id = %s and name = %s
        order by version desc limit %s
        """,
        (project_id, name, MAX_SHOWN),
    )
    if not rows:
        raise NotFound(f"no prompt has the name {name!a} in this project")
    return [from_row(row) for row in rows]


async def get_version(db: Database, project_id: str, name: str, version: int) -> PromptVersion:
    """Return one version; raises NotFound."""
    row = await db.one(
        "select * from prompt_version where project_id = %s and name = %s and version = %s",
        (project_id, name, version),
    )
    if row is None:
        raise NotFound(f"no prompt {name!a} has the version {version} in this project")
    return from_row(row)


async def list_served(db: Database, project_id: str, name: str) -> list[PromptVersion]:
    """Return the versions in production and in canary; raises NotFound for an unknown prompt."""
    rows = await db.all(
        """
        select * from prompt_version
        where project_id = %s and name = %s and state in ('live', 'canary')
          and approved_at is not null
        """,
        (project_id, name),
    )
    if not rows:
        await list_versions(db, project_id, name)
    return [from_row(row) for row in rows]


async def read_versions(
    connection: Connection, project_id: str, name: str
) -> dict[int, PromptVersion]:
    """Return the versions of a prompt as a change under way sees them."""
    cursor = await connection.execute(
        "select * from prompt_version where project_id = %s and name = %s", (project_id, name)
    )
    return {row["version"]: from_row(row) for row in await cursor.fetchall()}


async def add_version(connection: Connection, project_id: str, version: PromptVersion) -> None:
    """Append a version."""
    await connection.execute(
        """
        insert into prompt_version (project_id, name, version, text, state, based_on, lesson_ids,
            author, reason, created_at, updated_at, approved_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (project_id, version.name, version.version, version.text, version.state,
         version.based_on, list(version.lesson_ids), version.author, version.reason,
         version.created_at, version.updated_at, version.approved_at),
    )  # fmt: skip


async def save_state(connection: Connection, project_id: str, version: PromptVersion) -> None:
    """Keep where a version stands; its text never changes."""
    await connection.execute(
        """
        update prompt_version set state = %s, updated_at = %s, approved_at = %s
        where project_id = %s and name = %s and version = %s
        """,
        (version.state, version.updated_at, version.approved_at, project_id, version.name,
         version.version),
    )  # fmt: skip


async def add_event(connection: Connection, project_id: str, event: PromptEvent) -> None:
    """Append to the history."""
    await connection.execute(
        """
        insert into prompt_event (project_id, id, name, version, at, action, from_state, to_state,
            actor_kind, actor_id, actor, reason)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (project_id, event.id, event.name, event.version, event.at, event.action,
         event.from_state, event.to_state, event.actor.kind, event.actor.id, event.actor.name,
         event.reason),
    )  # fmt: skip


async def list_events(db: Database, project_id: str, name: str) -> list[PromptEvent]:
    """Return what was done to a prompt's versions, newest first."""
    rows = await db.all(
        """
        select * from prompt_event where project_id = %s and name = %s
        order by at desc, id desc limit %s
        """,
        (project_id, name, MAX_SHOWN),
    )
    return [_event_from_row(row) for row in rows]


def from_row(row: Row) -> PromptVersion:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return PromptVersion(**values | {"lesson_ids": tuple(row["lesson_ids"])})


def _event_from_row(row: Row) -> PromptEvent:
    return PromptEvent(
        id=str(row["id"]),
        name=row["name"],
        version=row["version"],
        at=row["at"],
        action=row["action"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        actor=Actor(kind=row["actor_kind"], id=row["actor_id"], name=row["actor"]),
        reason=row["reason"],
    )
