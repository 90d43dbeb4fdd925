"""Draft lessons, change them and move them: read, decide, keep, and write the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from teachback.act import lessons as rules
from teachback.act.likeness import Like, find_like
from teachback.errors import Conflict, Invalid, NotFound
from teachback.llm.embed import Embedder
from teachback.model.ids import new_id
from teachback.model.lesson import (
    IN_FORCE,
    Actor,
    Lesson,
    LessonAction,
    LessonEvent,
    LessonKind,
    LessonState,
    LessonVersion,
    Scope,
)
from teachback.store import lessons as store
from teachback.store.database import Connection, Database

#: Longest line of successors that is followed.
MAX_LINE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """What an author writes."""

    situation: str
    text: str
    answer: str | None = None
    scope: Scope = field(default_factory=Scope)
    priority: int = 0
    expires_at: datetime | None = None
    provenance: tuple[str, ...] = ()
    reason: str = ""


async def draft(
    db: Database, project_id: str, kind: LessonKind, wording: Wording, *, by: Actor,
    lesson_id: str | None = None,
) -> Lesson:  # fmt: skip
    """Keep a new lesson as a draft; raises Forbidden, Invalid or Conflict."""
    rules.check_author(by)
    _check_wording(kind, wording)
    now = datetime.now(UTC)
    first = _version(wording, 1, by, now)
    lesson = Lesson(
        id=lesson_id or new_id(), project_id=project_id, kind=kind, state="draft", version=1,
        latest=1, created_at=now, updated_at=now, situation=first.situation, text=first.text,
        answer=first.answer, scope=first.scope, priority=first.priority,
        provenance=first.provenance, author=first.author, reason=first.reason,
        expires_at=first.expires_at,
    )  # fmt: skip
    async with store.changing(db, project_id) as connection:
        await store.add_lesson(connection, lesson)
        await store.add_version(connection, project_id, lesson.id, first)
        await _note(
            connection, None, lesson, "drafted", by=by, reason=wording.reason, at=now, version=1
        )
    return lesson


async def edit(
    db: Database, project_id: str, lesson_id: str, change: Callable[[LessonVersion], Wording], *,
    by: Actor,
) -> Lesson:  # fmt: skip
    """Append a wording made of the latest one; raises Forbidden, Invalid or NotFound."""
    rules.check_author(by)
    now = datetime.now(UTC)
    async with store.changing(db, project_id) as connection:
        lesson = await _get(connection, project_id, lesson_id)
        latest = await _wording(connection, lesson, lesson.pending or lesson.version)
        wording = change(latest)
        _check_wording(lesson.kind, wording)
        version = _version(wording, lesson.latest + 1, by, now)
        after = rules.edited(lesson, version)
        await store.add_version(connection, project_id, lesson_id, version)
        await store.save_lesson(connection, after)
        await _note(
            connection,
            lesson,
            after,
            "edited",
            by=by,
            reason=wording.reason,
            at=now,
            version=version.version,
        )
    return after


async def approve(
    db: Database, project_id: str, lesson_id: str, version: int, *, by: Actor, reason: str,
    despite: Sequence[str] = (), embedder: Embedder | None = None,
) -> Lesson:  # fmt: skip
    """Approve the version that was read; raises Forbidden, Conflict or NotFound.

    When the lesson is in force, that version is from now on, as `move` puts one in force.
    """
    rules.check_approver(by)
    now = datetime.now(UTC)
    lesson = await store.get_lesson(db, project_id, lesson_id)
    rivals = await _rivals(db, lesson, version, embedder) if lesson.is_in_force else []
    async with store.changing(db, project_id) as connection:
        lesson = await _get(connection, project_id, lesson_id)
        wording = await _wording(connection, lesson, version)
        after = rules.approved(lesson, wording, by=by, at=now)
        _check_rivals(rivals, set(despite))
        await store.mark_approved(connection, project_id, lesson_id, version, now)
        await store.save_lesson(connection, after)
        await _note(
            connection, lesson, after, "approved", by=by, reason=reason, at=now, version=version
        )
    return after


async def decline(
    db: Database, project_id: str, lesson_id: str, *, by: Actor, reason: str
) -> Lesson:
    """Drop the version that waits for approval; what was approved stays in force."""
    return await _change(
        db, project_id, lesson_id, lambda lesson, now: rules.declined(lesson, by=by, at=now),
        action="declined", by=by, reason=reason,
    )  # fmt: skip


async def move(
    db: Database, project_id: str, lesson_id: str, to: LessonState, *, by: Actor, reason: str,
    despite: Sequence[str] = (), embedder: Embedder | None = None,
) -> Lesson:  # fmt: skip
    """Move a lesson to another state; raises Forbidden, Conflict or NotFound.

    Into force only when none like it is in force, other than those named in `despite`.
    """
    now = datetime.now(UTC)
    lesson = await store.get_lesson(db, project_id, lesson_id)
    rivals = await _rivals(db, lesson, lesson.version, embedder) if to in IN_FORCE else []
    async with store.changing(db, project_id) as connection:
        lesson = await _get(connection, project_id, lesson_id)
        successor = await _successor(connection, lesson)
        after = rules.moved(lesson, to, by=by, at=now, successor=successor)
        before = await store.list_predecessors(connection, project_id, lesson_id)
        givers = {one.id for one in before} if after.is_in_force else set()
        if not lesson.is_in_force:
            _check_rivals(rivals, {*despite, *givers})
        await store.save_lesson(connection, after)
        await _note(connection, lesson, after, "moved", by=by, reason=reason, at=now)
        for one in before:
            given = rules.given_way(one, after, at=now)
            if given != one:
                await store.save_lesson(connection, given)
                await _note(connection, one, given, "superseded", by=by, reason=reason, at=now)
    return after


async def supersede(
    db: Database, project_id: str, lesson_id: str, successor_id: str, *, by: Actor, reason: str
) -> Lesson:
    """Name the lesson that takes its place; they are never in force together."""
    now = datetime.now(UTC)
    async with store.changing(db, project_id) as connection:
        lesson = await _get(connection, project_id, lesson_id)
        successor = await _get(connection, project_id, successor_id)
        line = await _line(connection, successor)
        after = rules.superseded(lesson, successor, line, by=by, at=now)
        await store.save_lesson(connection, after)
        await _note(connection, lesson, after, "superseded", by=by, reason=reason, at=now)
    return after


async def kill(
    db: Database, project_id: str, lesson_id: str, *, off: bool, by: Actor, reason: str
) -> Lesson:
    """Set a lesson's kill switch, or take it back; every replica follows within a second."""
    return await _change(
        db, project_id, lesson_id,
        lambda lesson, now: rules.killed(lesson, off=off, by=by, at=now),
        action="killed" if off else "revived", by=by, reason=reason,
    )  # fmt: skip


async def switch(db: Database, project_id: str, *, off: bool, by: Actor, reason: str) -> None:
    """Switch all lessons of a project off, or, by an approver alone, on again."""
    (rules.check_author if off else rules.check_approver)(by)
    async with store.changing(db, project_id) as connection:
        if not await store.set_switch(connection, project_id, off=off):
            raise Conflict(f"the project's lessons are switched {'off' if off else 'on'} already")
        event = LessonEvent(
            id=new_id(), lesson_id=None, at=datetime.now(UTC),
            action="killed" if off else "revived", actor=by, reason=reason,
        )  # fmt: skip
        await store.add_event(connection, project_id, event)


async def like(
    db: Database, lesson: Lesson, embedder: Embedder | None, *, version: int | None = None
) -> list[Like]:
    """Return the lessons that contend with this one, by its latest or this version."""
    wanted = version or lesson.pending or lesson.version
    versions = await store.list_versions(db, lesson.project_id, lesson.id)
    wording = next((one for one in versions if one.version == wanted), None)
    if wording is None:
        return []
    return await find_like(
        db, lesson.project_id, kind=lesson.kind, situation=wording.situation, text=wording.text,
        scope=wording.scope, besides=lesson.id, embedder=embedder,
    )  # fmt: skip


async def _change(
    db: Database, project_id: str, lesson_id: str, change: Callable[[Lesson, datetime], Lesson], *,
    action: LessonAction, by: Actor, reason: str,
) -> Lesson:  # fmt: skip
    now = datetime.now(UTC)
    async with store.changing(db, project_id) as connection:
        lesson = await _get(connection, project_id, lesson_id)
        after = change(lesson, now)
        await store.save_lesson(connection, after)
        await _note(
            connection, lesson, after, action, by=by, reason=reason, at=now, version=lesson.pending
        )
    return after


async def _rivals(
    db: Database, lesson: Lesson, version: int, embedder: Embedder | None
) -> list[Like]:
    found = await like(db, lesson, embedder, version=version)
    return [one for one in found if one.state in IN_FORCE]


def _check_rivals(rivals: Sequence[Like], accepted: set[str]) -> None:
    for rival in rivals:
        if rival.id not in accepted:
            raise Conflict(
                f"lesson {rival.id!a} is in force for the same situation and scope: let this one "
                "take its place (supersede), narrow a scope, or name it in `despite`"
            )


async def _get(connection: Connection, project_id: str, lesson_id: str) -> Lesson:
    lesson = await store.find_lesson(connection, project_id, lesson_id)
    if lesson is None:
        raise NotFound(f"no lesson has the id {lesson_id!a} in this project")
    return lesson


async def _wording(connection: Connection, lesson: Lesson, version: int) -> LessonVersion:
    found = await store.find_version(connection, lesson.project_id, lesson.id, version)
    if found is None:
        raise NotFound(f"lesson {lesson.id!a} has no version {version}")
    return found


async def _successor(connection: Connection, lesson: Lesson) -> Lesson | None:
    if lesson.superseded_by is None:
        return None
    return await store.find_lesson(connection, lesson.project_id, lesson.superseded_by)


async def _line(connection: Connection, lesson: Lesson) -> tuple[str, ...]:
    line: list[str] = []
    step = await _successor(connection, lesson)
    while step is not None and len(line) < MAX_LINE:
        line.append(step.id)
        step = await _successor(connection, step)
    return tuple(line)


def _version(wording: Wording, number: int, by: Actor, at: datetime) -> LessonVersion:
    return LessonVersion(
        version=number, situation=wording.situation, text=wording.text, answer=wording.answer,
        scope=wording.scope, priority=wording.priority, expires_at=wording.expires_at,
        provenance=wording.provenance, author=by.name, reason=wording.reason, created_at=at,
    )  # fmt: skip


def _check_wording(kind: LessonKind, wording: Wording) -> None:
    if (kind == "example") is (wording.answer is None):
        raise Invalid(
            "answer",
            rule="an example has the good answer, and no other kind has one",
            fix="Send `answer` with kind example alone",
        )
    if wording.expires_at is not None and wording.expires_at <= datetime.now(UTC):
        raise Invalid(
            "expires_at", value=wording.expires_at.isoformat(),
            rule="a lesson expires in the future", fix="Send a later time, or none",
        )  # fmt: skip


async def _note(
    connection: Connection, before: Lesson | None, after: Lesson, action: LessonAction, *,
    by: Actor, reason: str, at: datetime, version: int | None = None,
) -> None:  # fmt: skip
    event = LessonEvent(
        id=new_id(), lesson_id=after.id, at=at, action=action,
        from_state=before.state if before else None, to_state=after.state,
        version=version or after.version, actor=by, reason=reason,
    )  # fmt: skip
    await store.add_event(connection, after.project_id, event)


__all__ = [
    "Wording", "approve", "decline", "draft", "edit", "kill", "like", "move", "supersede", "switch",
]  # fmt: skip
