"""The rules of a prompt's versions: one in production, one in canary, none without approval."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from act.test_lessons import ACTORS, ALICE, BOB, KEY, STATES, lesson
from teachback.act.prompts import merged, moved
from teachback.errors import Conflict, Forbidden, NotFound
from teachback.model.lesson import Actor, LessonState
from teachback.model.prompt import PromptVersion

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def versions(*states: LessonState) -> dict[int, PromptVersion]:
    return {
        number: PromptVersion(
            name="support", version=number, text=f"text {number}", state=state, author="Alice",
            created_at=NOW, updated_at=NOW, approved_at=None if state == "draft" else NOW,
        )
        for number, state in enumerate(states, 1)
    }  # fmt: skip


STEPS = st.tuples(st.integers(1, 4), st.sampled_from(STATES), st.sampled_from(ACTORS))


@given(steps=st.lists(STEPS, max_size=30))
def test_no_way_leads_around_approval(steps: list[tuple[int, LessonState, Actor]]) -> None:
    """Anybody tries anything: what is served was approved by a member, and each label once."""
    now = versions("draft", "draft", "draft")
    approved: set[int] = set()
    for number, to, by in steps:
        try:
            changed = moved(now, number, to, by=by, at=NOW)
        except (Forbidden, Conflict, NotFound):
            continue
        if by in (ALICE, BOB) and to == "approved":
            approved.add(number)
        now |= {one.version: one for one in changed}
        for label in ("live", "canary"):
            served = [one.version for one in now.values() if one.state == label]
            assert len(served) <= 1
            assert set(served) <= approved
        assert all(one.text == f"text {one.version}" for one in now.values())


def test_version_that_is_replaced_stands_by() -> None:
    """Going back is one move."""
    now = versions("live", "canary")
    now |= {one.version: one for one in moved(now, 2, "live", by=ALICE, at=NOW)}
    assert [one.state for one in now.values()] == ["approved", "live"]
    now |= {one.version: one for one in moved(now, 1, "live", by=BOB, at=NOW)}
    assert [one.state for one in now.values()] == ["live", "approved"]


def test_application_takes_back_and_never_promotes() -> None:
    """Its key may do what is safe."""
    assert moved(versions("live"), 1, "approved", by=KEY, at=NOW)[0].state == "approved"
    with pytest.raises(Forbidden):
        moved(versions("approved"), 1, "live", by=KEY, at=NOW)
    with pytest.raises(Forbidden):
        moved(versions("draft"), 1, "approved", by=KEY, at=NOW)


def test_guidance_is_merged_when_it_is_live() -> None:
    """At the end, once; other kinds and drafts are not."""
    live = lesson(kind="guidance", state="live", approved_at=NOW, text="Be brief.")
    text = merged("Help people.\n", live)
    assert text == "Help people.\n\nBe brief.\n"
    for before, other in (
        ("Help.", lesson(kind="fact", state="live", approved_at=NOW)),
        ("Help.", lesson(kind="guidance", state="approved", approved_at=NOW)),
        (text, live),
    ):
        with pytest.raises(Conflict):
            merged(before, other)
