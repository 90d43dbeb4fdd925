"""Lessons as they are kept: what is in force, what is told, and what stands beside what."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from act.conftest import Desk
from teachback.act import curate
from teachback.act.curate import Wording
from teachback.errors import Conflict, Invalid, NotFound
from teachback.llm.minilm import MiniLM
from teachback.model.lesson import Scope
from teachback.store import lessons as store

pytestmark = pytest.mark.anyio
REFUND = "How long do refunds take?"


async def in_force(desk: Desk) -> list[tuple[str, str]]:
    found = await store.live_lessons(desk.db, desk.project_id)
    return [(one.situation, one.text) for one in found]


async def test_only_approved_words_are_live(desk: Desk) -> None:
    """A draft is not, an approved lesson is not yet, an edit waits, a retired one is gone."""
    lesson = await desk.draft(REFUND, "14 days")
    assert await in_force(desk) == []
    await desk.approve(lesson.id, 1)
    assert await in_force(desk) == []
    await desk.move(lesson.id, "canary")
    assert await in_force(desk) == [(REFUND, "14 days")]
    edited = await curate.edit(
        desk.db, desk.project_id, lesson.id, lambda _: Wording(situation=REFUND, text="30 days"),
        by=desk.server,
    )  # fmt: skip
    assert (edited.text, edited.pending) == ("14 days", 2)
    assert await in_force(desk) == [(REFUND, "14 days")]
    await desk.approve(lesson.id, 2)
    assert await in_force(desk) == [(REFUND, "30 days")]
    await desk.move(lesson.id, "retired")
    assert await in_force(desk) == []


async def test_expired_killed_and_switched_off_lessons_are_not_live(desk: Desk) -> None:
    """Each alone is enough, and the two switches can be taken back."""
    lesson = await desk.live(REFUND)
    past = datetime.now(UTC) - timedelta(minutes=1)
    for column, bad, good in (("expires_at", past, None),):
        await desk.db.run(f"update lesson_version set {column} = %s", (bad,))
        assert await in_force(desk) == []
        await desk.db.run(f"update lesson_version set {column} = %s", (good,))
    for off in (True, False):
        await curate.kill(
            desk.db, desk.project_id, lesson.id, off=off, by=desk.alice, reason="harm"
        )
        assert len(await in_force(desk)) == (0 if off else 1)
    for off in (True, False):
        await curate.switch(desk.db, desk.project_id, off=off, by=desk.alice, reason="harm")
        assert len(await in_force(desk)) == (0 if off else 1)
    with pytest.raises(Conflict, match="switched on already"):
        await curate.switch(desk.db, desk.project_id, off=False, by=desk.alice, reason="again")


async def test_unapproved_words_stay_out_whatever_the_rows_say(desk: Desk) -> None:
    """The mark of approval is on the wording itself, so a wrong state alone opens nothing."""
    await desk.draft(REFUND)
    await desk.db.run("update lesson set state = 'live'")
    assert await in_force(desk) == []


async def test_every_change_is_told_with_its_project(desk: Desk, dsn: str) -> None:
    """Replicas that listen hear of drafts, approvals, moves and switches alike."""
    with psycopg.connect(dsn, autocommit=True) as listener:
        listener.execute("listen teachback_lessons")
        lesson = await desk.live(REFUND)
        await curate.kill(
            desk.db, desk.project_id, lesson.id, off=True, by=desk.server, reason="harm"
        )
        await curate.switch(desk.db, desk.project_id, off=True, by=desk.server, reason="harm")
        heard = await asyncio.to_thread(lambda: list(listener.notifies(timeout=5, stop_after=5)))
    assert [note.payload for note in heard] == [desk.project_id] * 5


async def test_successor_in_force_retires_the_lesson_before_it(desk: Desk) -> None:
    """Named first, put in force later: they are never in force together."""
    old = await desk.live(REFUND, "14 days")
    new = await desk.draft(REFUND, "30 days")
    await desk.approve(new.id, 1)
    with pytest.raises(Conflict, match="in force for the same situation"):
        await desk.move(new.id, "live")
    named = await curate.supersede(
        desk.db, desk.project_id, old.id, new.id, by=desk.alice, reason="new terms"
    )
    assert (named.state, named.superseded_by) == ("live", new.id)
    await desk.move(new.id, "canary")
    assert await in_force(desk) == [(REFUND, "30 days")]
    events = await store.list_events(desk.db, desk.project_id, old.id)
    assert [(one.action, one.from_state, one.to_state) for one in events[:2]] == [
        ("superseded", "live", "retired"), ("superseded", "live", "live"),
    ]  # fmt: skip


async def test_history_tells_who_when_and_why(desk: Desk) -> None:
    """Every step, newest first, by the name of that time."""
    lesson = await desk.live(REFUND)
    told = [
        (one.action, one.actor.name, one.from_state, one.to_state, one.reason)
        for one in await store.list_events(desk.db, desk.project_id, lesson.id)
    ]
    assert told == [
        ("moved", "Alice", "approved", "live", "try"),
        ("approved", "Alice", "draft", "approved", "read"),
        ("drafted", "server", None, "draft", ""),
    ]


@pytest.mark.parametrize("by_meaning", [True, False])
async def test_lessons_for_one_situation_are_found(desk: Desk, *, by_meaning: bool) -> None:
    """By meaning, or by words without a model; only where the scopes overlap."""
    embedder = MiniLM() if by_meaning else None
    same = await desk.draft(REFUND, "It takes 14 days.", scope=Scope(roles=("admin", "owner")))
    other = await desk.draft(REFUND + " ", "It takes 30 days.")
    await desk.draft(REFUND, "Elsewhere.", scope=Scope(roles=("guest",)))
    await desk.draft("How do I invite a colleague?", "It takes 14 days.")
    new = await desk.draft(REFUND, "it takes 14 days", scope=Scope(roles=("admin",)))
    found = await curate.like(desk.db, new, embedder)
    assert {one.id: one.relation for one in found} == {same.id: "duplicate", other.id: "conflict"}
    assert {one.by for one in found} == {"meaning" if by_meaning else "words"}
    assert all(0.9 <= one.likeness <= 1 for one in found)


async def test_conflict_does_not_come_into_force_unless_it_is_named(desk: Desk) -> None:
    """Whoever moves it has seen what it stands beside."""
    first = await desk.live(REFUND, "14 days")
    with pytest.raises(Conflict, match="despite"):
        await desk.live(REFUND, "30 days")
    await desk.live(REFUND, "30 days", despite=(first.id,))
    assert len(await in_force(desk)) == 2


async def test_two_who_approve_and_edit_at_once_are_told_apart(desk: Desk) -> None:
    """Whoever comes second meets what the first has made of it."""
    lesson = await desk.draft(REFUND, "14 days")

    async def rewrite() -> object:
        return await curate.edit(
            desk.db, desk.project_id, lesson.id,
            lambda _: Wording(situation=REFUND, text="anything"), by=desk.server,
        )  # fmt: skip

    done = await asyncio.gather(rewrite(), desk.approve(lesson.id, 1), return_exceptions=True)
    kept = await store.get_lesson(desk.db, desk.project_id, lesson.id)
    if isinstance(done[1], Conflict):
        assert (kept.state, kept.text, kept.approved_at) == ("draft", "anything", None)
    else:
        assert (kept.state, kept.text, kept.pending) == ("approved", "14 days", 2)


async def test_example_alone_has_an_answer(desk: Desk) -> None:
    """And none without one."""
    for kind, answer in (("example", None), ("fact", "14 days")):
        with pytest.raises(Invalid, match="answer"):
            await curate.draft(
                desk.db, desk.project_id, kind,  # type: ignore[arg-type]
                Wording(situation=REFUND, text=REFUND, answer=answer), by=desk.alice,
            )  # fmt: skip


async def test_unknown_lesson_and_version_are_not_found(desk: Desk) -> None:
    """By whoever asks for them."""
    with pytest.raises(NotFound):
        await desk.approve("nothing", 1)
    lesson = await desk.draft(REFUND)
    with pytest.raises(NotFound, match="no version 7"):
        await desk.approve(lesson.id, 7)
