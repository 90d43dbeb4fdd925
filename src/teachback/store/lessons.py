"""Lessons, their wordings and their history; every change tells all replicas."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, LiteralString

from teachback.errors import Conflict, NotFound
from teachback.model.lesson import (
    Actor,
    Lesson,
    LessonEvent,
    LessonKind,
    LessonState,
    LessonVersion,
    Scope,
)
from teachback.store.database import Connection, Database, Row

#: Told, with the project's id, in the transaction of every change.
CHANNEL = "teachback_lessons"
#: Lessons of a project that can be in force: the most that is kept in memory.
MAX_LIVE = 20_000
#: Events and versions of one lesson that are shown.
MAX_HISTORY = 1_000
#: Older injections say little of a lesson as it is now.
COUNTED_DAYS = 90

_CONTENT = ("situation", "text", "answer", "priority", "expires_at", "author", "reason")
_LESSON: LiteralString = """
    select l.*, v.situation, v.text, v.answer, v.scope, v.priority, v.expires_at, v.provenance,
           v.author, v.reason, v.approved_at
    from lesson l join lesson_version v
         on v.project_id = l.project_id and v.lesson_id = l.id and v.version = l.version
"""


@contextlib.asynccontextmanager
async def changing(db: Database, project_id: str) -> AsyncIterator[Connection]:
    """Lend a connection while nobody else changes lessons of the project; tells of the change."""
    async with db.transaction() as connection:
        # Weaker than `for update`, which would hold up every record of the project.
        await connection.execute(
            "select from project where id = %s for no key update", (project_id,)
        )
        yield connection
        await connection.execute("select pg_notify(%s, %s)", (CHANNEL, project_id))


#: Few lessons have a successor: the others are not looked up one by one.
_LIVE: LiteralString = """
    join project p on p.id = l.project_id and not p.lessons_off
    where l.project_id = %(project)s and l.state in ('canary', 'live') and l.killed_at is null
      and v.approved_at is not null and (v.expires_at is null or v.expires_at > now())
      and (l.superseded_by is null or not exists (
          select from lesson s where s.project_id = l.project_id
          and s.id = l.superseded_by and s.state in ('canary', 'live')))
"""


async def live_lessons(
    db: Database, project_id: str, *, ids: Sequence[str] | None = None
) -> list[Lesson]:
    """Return what may reach a prompt now: approved wordings in canary or live.

    Neither expired nor killed nor beside a successor in force, and none at all while the
    project's switch is off. With `ids` only those among them.
    """
    rows = await db.all(
        _LESSON
        + _LIVE
        + """
          and (%(ids)s::text[] is null or l.id = any(%(ids)s))
        order by v.priority desc, l.updated_at desc, l.id limit %(limit)s
        """,
        {"project": project_id, "ids": None if ids is None else list(ids), "limit": MAX_LIVE},
    )
    return [from_row(row) for row in rows]


async def live_marks(db: Database, project_id: str) -> dict[str, str]:
    """Return the ids of the same lessons in the same order, each with a mark of its last change."""
    rows = await db.all(
        """
        select l.id, concat_ws(' ', l.version, l.xmin) as mark
        from lesson l join lesson_version v
             on v.project_id = l.project_id and v.lesson_id = l.id and v.version = l.version
        """
        + _LIVE
        + "order by v.priority desc, l.updated_at desc, l.id limit %(limit)s",
        {"project": project_id, "limit": MAX_LIVE},
    )
    return {row["id"]: row["mark"] for row in rows}


async def add_lesson(connection: Connection, lesson: Lesson) -> None:
    """Add a lesson without its wording; raises Conflict when the id is taken."""
    cursor = await connection.execute(
        """
        insert into lesson (project_id, id, kind, state, version, latest, created_at, updated_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
        """,
        (lesson.project_id, lesson.id, lesson.kind, lesson.state, lesson.version, lesson.latest,
         lesson.created_at, lesson.updated_at),
    )  # fmt: skip
    if cursor.rowcount == 0:
        raise Conflict(f"the id {lesson.id!a} is taken by another lesson")


async def save_lesson(connection: Connection, lesson: Lesson) -> None:
    """Keep where a lesson stands."""
    await connection.execute(
        """
        update lesson set state = %s, version = %s, pending = %s, latest = %s, superseded_by = %s,
            killed_at = %s, updated_at = %s
        where project_id = %s and id = %s
        """,
        (lesson.state, lesson.version, lesson.pending, lesson.latest, lesson.superseded_by,
         lesson.killed_at, lesson.updated_at, lesson.project_id, lesson.id),
    )  # fmt: skip


async def add_version(
    connection: Connection, project_id: str, lesson_id: str, version: LessonVersion
) -> None:
    """Append a wording."""
    await connection.execute(
        """
        insert into lesson_version (project_id, lesson_id, version, situation, text, answer,
            priority, expires_at, author, reason, scope, provenance, created_at, approved_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            project_id, lesson_id, version.version,
            *(getattr(version, name) for name in _CONTENT),
            scope_json(version.scope), list(version.provenance), version.created_at,
            version.approved_at,
        ),
    )  # fmt: skip


async def mark_approved(
    connection: Connection, project_id: str, lesson_id: str, version: int, at: datetime
) -> None:
    """Note when a wording was first approved."""
    await connection.execute(
        """
        update lesson_version set approved_at = coalesce(approved_at, %s)
        where project_id = %s and lesson_id = %s and version = %s
        """,
        (at, project_id, lesson_id, version),
    )


async def add_event(connection: Connection, project_id: str, event: LessonEvent) -> None:
    """Append to the history."""
    await connection.execute(
        """
        insert into lesson_event (project_id, id, lesson_id, at, action, from_state, to_state,
            version, actor_kind, actor_id, actor, reason)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (project_id, event.id, event.lesson_id, event.at, event.action, event.from_state,
         event.to_state, event.version, event.actor.kind, event.actor.id, event.actor.name,
         event.reason),
    )  # fmt: skip


async def find_lesson(connection: Connection, project_id: str, lesson_id: str) -> Lesson | None:
    """Return a lesson as a change under way sees it."""
    cursor = await connection.execute(
        _LESSON + "where l.project_id = %s and l.id = %s", (project_id, lesson_id)
    )
    row = await cursor.fetchone()
    return from_row(row) if row else None


async def list_predecessors(
    connection: Connection, project_id: str, lesson_id: str
) -> list[Lesson]:
    """Return the lessons that this one takes the place of."""
    cursor = await connection.execute(
        _LESSON + "where l.project_id = %s and l.superseded_by = %s", (project_id, lesson_id)
    )
    return [from_row(row) for row in await cursor.fetchall()]


async def get_lesson(db: Database, project_id: str, lesson_id: str) -> Lesson:
    """Return a lesson; raises NotFound."""
    lesson = await find_by_id(db, project_id, lesson_id)
    if lesson is None:
        raise NotFound(f"no lesson has the id {lesson_id!a} in this project")
    return lesson


async def find_by_id(db: Database, project_id: str, lesson_id: str) -> Lesson | None:
    """Return a lesson, if there is one of this id."""
    row = await db.one(_LESSON + "where l.project_id = %s and l.id = %s", (project_id, lesson_id))
    return from_row(row) if row else None


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonFilters:
    """What a list of lessons is narrowed to; None does not narrow."""

    state: LessonState | None = None
    kind: LessonKind | None = None
    #: Learned from this feedback.
    feedback_ids: tuple[str, ...] | None = None
    #: A later wording waits for approval, or the lesson itself does.
    waiting: bool | None = None


async def list_lessons(
    db: Database, project_id: str, filters: LessonFilters, *,
    before: tuple[datetime, str] | None = None, limit: int = 50,
) -> list[Lesson]:  # fmt: skip
    """Return lessons, last changed first; `before` is (updated_at, id) last seen."""
    rows = await db.all(
        _LESSON
        + """
        where l.project_id = %(project)s
          and (%(state)s::text is null or l.state = %(state)s)
          and (%(kind)s::text is null or l.kind = %(kind)s)
          and (%(feedback)s::text[] is null or v.provenance && %(feedback)s)
          and (%(waiting)s::boolean is null
               or (l.pending is not null or l.state = 'draft') = %(waiting)s)
          and (%(at)s::timestamptz is null or (l.updated_at, l.id) < (%(at)s, %(id)s))
        order by l.updated_at desc, l.id desc limit %(limit)s
        """,
        {
            "project": project_id, "state": filters.state, "kind": filters.kind,
            "feedback": None if filters.feedback_ids is None else list(filters.feedback_ids),
            "waiting": filters.waiting, "at": before and before[0], "id": before and before[1],
            "limit": limit,
        },
    )  # fmt: skip
    return [from_row(row) for row in rows]


async def list_versions(db: Database, project_id: str, lesson_id: str) -> list[LessonVersion]:
    """Return the wordings of a lesson, newest first."""
    rows = await db.all(
        """
        select * from lesson_version where project_id = %s and lesson_id = %s
        order by version desc limit %s
        """,
        (project_id, lesson_id, MAX_HISTORY),
    )
    return [version_from_row(row) for row in rows]


async def find_version(
    connection: Connection, project_id: str, lesson_id: str, version: int
) -> LessonVersion | None:
    """Return one wording."""
    cursor = await connection.execute(
        "select * from lesson_version where project_id = %s and lesson_id = %s and version = %s",
        (project_id, lesson_id, version),
    )
    row = await cursor.fetchone()
    return version_from_row(row) if row else None


async def list_events(db: Database, project_id: str, lesson_id: str | None) -> list[LessonEvent]:
    """Return what was done to a lesson, or to the project's switch; newest first."""
    rows = await db.all(
        """
        select * from lesson_event where project_id = %s and lesson_id is not distinct from %s
        order by at desc, id desc limit %s
        """,
        (project_id, lesson_id, MAX_HISTORY),
    )
    return [_event_from_row(row) for row in rows]


async def find_switch(db: Database, project_id: str) -> bool:
    """Tell whether the project's lessons are switched off."""
    row = await db.one("select lessons_off from project where id = %s", (project_id,))
    return bool(row and row["lessons_off"])


async def set_switch(connection: Connection, project_id: str, *, off: bool) -> bool:
    """Switch all lessons of a project off or on; tell whether that was a change."""
    cursor = await connection.execute(
        "update project set lessons_off = %s where id = %s and lessons_off <> %s",
        (off, project_id, off),
    )
    return cursor.rowcount > 0


async def count_judgements(db: Database) -> int:
    """Count anew how lessons in force did: voices that judged answers with them good, and bad.

    One voice for each author, and of those nobody knows for each answer; whoever found one answer
    bad does not count as content. Returns how many lessons changed.
    """
    async with db.transaction() as connection:
        cursor = await connection.execute(
            """
            with voice as (
                select i.project_id, i.lesson_id, coalesce(nullif(f.author, ''), f.trace_id) as who,
                       bool_or(f.negative) as bad,
                       bool_or(f.kind = 'rating' and not f.negative
                               or f.name in ('copy', 'accept') and f.score > 0) as good
                from injection i
                join lesson l on l.project_id = i.project_id and l.id = i.lesson_id
                join feedback f on f.project_id = i.project_id and f.trace_id = i.trace_id
                where l.state in ('canary', 'live') and i.variant = 'injected'
                  and i.position is not null and i.at > now() - %s * interval '1 day'
                  and not f.withdrawn
                group by 1, 2, 3
            ), counted as (
                select project_id, lesson_id, count(*) filter (where good and not bad) as helpful,
                       count(*) filter (where bad) as harmful
                from voice group by 1, 2
            )
            update lesson l set helpful = c.helpful, harmful = c.harmful from counted c
            where l.project_id = c.project_id and l.id = c.lesson_id
              and (l.helpful, l.harmful) is distinct from (c.helpful, c.harmful)
            returning l.project_id::text as project_id
            """,
            (COUNTED_DAYS,),
        )
        changed = [row["project_id"] for row in await cursor.fetchall()]
        for project_id in sorted(set(changed)):
            await connection.execute("select pg_notify(%s, %s)", (CHANNEL, project_id))
    return len(changed)


def scope_json(scope: Scope) -> str:
    """Write a scope as it is kept: empty dimensions left out."""
    return json.dumps({name: values for name, values in asdict(scope).items() if values})


def from_row(row: Row) -> Lesson:
    """Make a lesson of its row joined with that of its wording."""
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Lesson(
        **values,
        project_id=str(row["project_id"]),
        scope=_scope(row["scope"]),
        provenance=tuple(row["provenance"]),
    )


def version_from_row(row: Row) -> LessonVersion:
    values: dict[str, Any] = {name: row[name] for name in _CONTENT}
    return LessonVersion(
        **values,
        version=row["version"],
        scope=_scope(row["scope"]),
        provenance=tuple(row["provenance"]),
        created_at=row["created_at"],
        approved_at=row["approved_at"],
    )


_PLAIN = [f.name for f in fields(Lesson) if f.name not in ("project_id", "scope", "provenance")]


def _scope(kept: dict[str, Sequence[str]]) -> Scope:
    return Scope(**{name: tuple(values) for name, values in kept.items()})


def _event_from_row(row: Row) -> LessonEvent:
    return LessonEvent(
        id=str(row["id"]),
        lesson_id=row["lesson_id"],
        at=row["at"],
        action=row["action"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        version=row["version"],
        actor=Actor(kind=row["actor_kind"], id=row["actor_id"], name=row["actor"]),
        reason=row["reason"],
    )
