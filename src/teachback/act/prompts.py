"""Prompts: drafted as versions, approved by members, tried as canary, served as production.

    draft ──approve──▶ approved ──▶ canary ──▶ live
      │                 ▲    ▲└────────┼───────▶ │
      └──▶ retired ◀────┴────┴─────────┴─────────┘

At most one version is live and one in canary: the one that it replaces stands by as approved, so
that going back is one move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from teachback.act.lessons import check_approver, check_author
from teachback.errors import Conflict, Invalid, NotFound
from teachback.model.ids import new_id
from teachback.model.lesson import Actor, Lesson
from teachback.model.prompt import (
    LABELS,
    PromptAction,
    PromptEvent,
    PromptState,
    PromptVersion,
)
from teachback.store import lessons as lesson_store
from teachback.store import prompts as store
from teachback.store.database import Connection, Database

#: Longest text of a prompt, in characters: some 25,000 tokens.
MAX_PROMPT = 100_000
MOVES: dict[PromptState, tuple[PromptState, ...]] = {
    "draft": ("approved", "retired"),
    "approved": ("canary", "live", "retired"),
    "canary": ("live", "approved", "retired"),
    "live": ("approved", "retired"),
    "retired": (),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What an author writes."""

    text: str
    reason: str = ""
    based_on: int | None = None
    lesson_ids: tuple[str, ...] = ()


def moved(
    versions: Mapping[int, PromptVersion], number: int, to: PromptState, *, by: Actor, at: datetime
) -> list[PromptVersion]:
    """Return the versions that change when one moves, itself first.

    Raises Forbidden, Conflict or NotFound.
    """
    version = versions.get(number)
    if version is None:
        raise NotFound(f"the prompt has no version {number}")
    is_way_out = to == "retired" or (to == "approved" and version.state in LABELS)
    if by.kind != "system" or not is_way_out:
        (check_author if is_way_out else check_approver)(by)
    if to not in MOVES[version.state]:
        raise Conflict(_no_way(version, to))
    approved_at = version.approved_at or (None if to == "retired" else at)
    after = replace(version, state=to, approved_at=approved_at, updated_at=at)
    replaced = [
        replace(one, state="approved", updated_at=at)
        for one in versions.values()
        if to in LABELS and one.state == to and one.version != number
    ]
    return [after, *replaced]


def merged(text: str, lesson: Lesson) -> str:
    """Return a prompt's text with a guidance at its end; raises Conflict."""
    if lesson.kind != "guidance":
        raise Conflict(f"a {lesson.kind} is for its situation alone: only a guidance is merged")
    if lesson.state != "live" or lesson.approved_at is None:
        raise Conflict("only a guidance that is live is merged: it has proved itself there")
    if lesson.text in text:
        raise Conflict("the prompt says this already")
    return f"{text.rstrip()}\n\n{lesson.text}\n" if text.strip() else f"{lesson.text}\n"


async def draft(
    db: Database, project_id: str, name: str, made: Draft, *, by: Actor
) -> PromptVersion:
    """Keep a new version as a draft; the first makes the prompt. Raises Forbidden or Invalid."""
    return await _draft(db, project_id, name, lambda _: made, by=by)


async def merge(
    db: Database, project_id: str, name: str, lesson_id: str, *, by: Actor, reason: str
) -> PromptVersion:
    """Draft the version in production with a lesson's guidance in it.

    Raises NotFound, Forbidden, Conflict or Invalid.
    """
    lesson = await lesson_store.get_lesson(db, project_id, lesson_id)

    def make(versions: Mapping[int, PromptVersion]) -> Draft:
        live = next((one for one in versions.values() if one.state == "live"), None)
        if live is None:
            raise Conflict("no version is in production: there is nothing to merge into")
        return Draft(
            text=merged(live.text, lesson), reason=reason, based_on=live.version,
            lesson_ids=(*live.lesson_ids, lesson.id),
        )  # fmt: skip

    return await _draft(db, project_id, name, make, by=by)


async def move(
    db: Database, project_id: str, name: str, number: int, to: PromptState, *, by: Actor,
    reason: str,
) -> PromptVersion:  # fmt: skip
    """Approve a version, or move it to another state; raises Forbidden, Conflict or NotFound."""
    now = datetime.now(UTC)
    async with lesson_store.changing(db, project_id) as connection:
        versions = await store.read_versions(connection, project_id, name)
        after, *replaced = moved(versions, number, to, by=by, at=now)
        # The label is free before it is taken.
        for one in replaced:
            await store.save_state(connection, project_id, one)
            await _note(connection, project_id, versions, one, "replaced", by=by, reason=reason)
        await store.save_state(connection, project_id, after)
        was_draft = versions[number].state == "draft" and to == "approved"
        action: PromptAction = "approved" if was_draft else "moved"
        await _note(connection, project_id, versions, after, action, by=by, reason=reason)
    return after


async def _draft(
    db: Database, project_id: str, name: str,
    make: Callable[[Mapping[int, PromptVersion]], Draft], *, by: Actor,
) -> PromptVersion:  # fmt: skip
    check_author(by)
    now = datetime.now(UTC)
    async with lesson_store.changing(db, project_id) as connection:
        versions = await store.read_versions(connection, project_id, name)
        made = make(versions)
        _check(made, versions)
        version = PromptVersion(
            name=name, version=max(versions, default=0) + 1, text=made.text, state="draft",
            based_on=made.based_on, lesson_ids=made.lesson_ids, author=by.name,
            reason=made.reason, created_at=now, updated_at=now,
        )  # fmt: skip
        await store.add_version(connection, project_id, version)
        await _note(connection, project_id, versions, version, "drafted", by=by, reason=made.reason)
    return version


def _check(made: Draft, versions: Mapping[int, PromptVersion]) -> None:
    if not 0 < len(made.text) <= MAX_PROMPT:
        raise Invalid(
            "text",
            rule=f"a prompt has 1 to {MAX_PROMPT:,} characters, this one {len(made.text):,}",
            fix="Send a shorter text",
        )  # fmt: skip
    if made.based_on is not None and made.based_on not in versions:
        raise Invalid(
            "based_on", value=made.based_on, rule="it names an earlier version of this prompt",
            fix="Send the number of one, or none",
        )  # fmt: skip


def _no_way(version: PromptVersion, to: PromptState) -> str:
    if version.state == to:
        return f"version {version.version} is {to} already"
    if version.state == "draft":
        return f"a draft cannot become {to}: approve it first"
    if version.state == "retired":
        return "a retired version stays retired: draft its text anew"
    return f"a version that is {version.state} cannot become {to}: it may become " + ", ".join(
        MOVES[version.state]
    )


async def _note(
    connection: Connection, project_id: str, before: Mapping[int, PromptVersion],
    after: PromptVersion, action: PromptAction, *, by: Actor, reason: str,
) -> None:  # fmt: skip
    earlier = before.get(after.version)
    event = PromptEvent(
        id=new_id(), name=after.name, version=after.version, at=after.updated_at, action=action,
        from_state=earlier.state if earlier else None, to_state=after.state, actor=by,
        reason=reason,
    )  # fmt: skip
    await store.add_event(connection, project_id, event)
