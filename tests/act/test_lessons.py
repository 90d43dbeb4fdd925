"""The rules of a lesson's life, walked at random: no way leads around approval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from teachback.act import lessons as rules
from teachback.errors import Conflict, Forbidden, Invalid
from teachback.model.lesson import Actor, Lesson, LessonState, LessonVersion
from teachback.model.project import Role

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ALICE = Actor(kind="member", id="alice", name="Alice", role="owner")
BOB = Actor(kind="member", id="bob", name="Bob", role="reviewer")
VIEWER = Actor(kind="member", id="vera", name="Vera", role="viewer")
KEY = Actor(kind="key", id="k", name="server")
SYSTEM = Actor(kind="system", id="rollback", name="rollback")
ACTORS = [ALICE, BOB, VIEWER, KEY, SYSTEM]
STATES: list[LessonState] = ["draft", "approved", "canary", "live", "retired"]


def wording(number: int, **fields: object) -> LessonVersion:
    values = {"situation": "s", "text": f"text {number}", "author": "Alice", "created_at": NOW}
    return LessonVersion(version=number, **values | fields)  # type: ignore[arg-type]


def lesson(**fields: object) -> Lesson:
    values: dict[str, object] = {
        "id": "l", "project_id": "p", "kind": "fact", "state": "draft", "version": 1, "latest": 1,
        "situation": "s", "text": "text 1", "author": "Alice", "created_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    return Lesson(**values | fields)  # type: ignore[arg-type]


class Life(RuleBasedStateMachine):
    """Several lessons, anybody trying anything, in any order."""

    lessons = Bundle("lessons")

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, Lesson] = {}
        self.wordings: dict[str, dict[int, LessonVersion]] = {}
        #: (lesson, version) that an approver approved.
        self.approved: set[tuple[str, int]] = set()
        self.at = NOW

    @initialize(target=lessons)
    def begin(self) -> object:
        return multiple(*(self._draft(name) for name in ("a", "b", "c")))

    def _draft(self, name: str) -> str:
        self.now[name] = lesson(id=name)
        self.wordings[name] = {1: wording(1)}
        return name

    @rule(name=lessons, hours=st.none() | st.integers(-2, 5))
    def edit(self, name: str, hours: int | None) -> None:
        before = self.now[name]
        number = before.latest + 1
        expires = None if hours is None else self.at + timedelta(hours=hours)
        self.wordings[name][number] = wording(number, expires_at=expires, created_at=self.at)
        self.now[name] = rules.edited(before, self.wordings[name][number])
        if before.approved_at is not None:
            assert self.now[name].text == before.text
            assert self.now[name].state == before.state

    @rule(name=lessons, version=st.integers(1, 4), by=st.sampled_from(ACTORS))
    def approve(self, name: str, version: int, by: Actor) -> None:
        if version not in self.wordings[name]:
            return
        given = self.wordings[name][version]
        try:
            self.now[name] = rules.approved(self.now[name], given, by=by, at=self.at)
        except (Forbidden, Conflict):
            return
        assert by in (ALICE, BOB)
        self.approved.add((name, version))

    @rule(name=lessons, by=st.sampled_from(ACTORS))
    def decline(self, name: str, by: Actor) -> None:
        before = self.now[name]
        try:
            self.now[name] = rules.declined(before, by=by, at=self.at)
        except (Forbidden, Conflict):
            return
        assert (self.now[name].text, self.now[name].state) == (before.text, before.state)

    @rule(name=lessons, to=st.sampled_from(STATES), by=st.sampled_from(ACTORS))
    def move(self, name: str, to: LessonState, by: Actor) -> None:
        before = self.now[name]
        successor = self.now.get(before.superseded_by or "")
        try:
            after = rules.moved(before, to, by=by, at=self.at, successor=successor)
        except (Forbidden, Conflict):
            return
        assert by in (ALICE, BOB) or not after.is_in_force
        self.now[name] = after
        for other in list(self.now.values()):
            if other.superseded_by == name:
                self.now[other.id] = rules.given_way(other, after, at=self.at)

    @rule(name=lessons, to=lessons, by=st.sampled_from(ACTORS))
    def supersede(self, name: str, to: str, by: Actor) -> None:
        line, step = [], self.now[to].superseded_by
        while step:
            line.append(step)
            step = self.now[step].superseded_by
        try:
            self.now[name] = rules.superseded(
                self.now[name], self.now[to], tuple(line), by=by, at=self.at
            )
        except (Forbidden, Conflict, Invalid):
            return
        assert by in (ALICE, BOB)

    @rule(name=lessons, off=st.booleans(), by=st.sampled_from(ACTORS))
    def kill(self, name: str, by: Actor, *, off: bool) -> None:
        try:
            self.now[name] = rules.killed(self.now[name], off=off, by=by, at=self.at)
        except (Forbidden, Conflict):
            return
        assert off or by in (ALICE, BOB)

    @rule(hours=st.integers(1, 4))
    def wait(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    @invariant()
    def only_approved_words_are_in_force(self) -> None:
        for name, one in self.now.items():
            if one.is_in_force:
                assert (name, one.version) in self.approved
                assert one.text == self.wordings[name][one.version].text

    @invariant()
    def no_lesson_is_in_force_beside_its_successor(self) -> None:
        for one in self.now.values():
            if one.superseded_by:
                assert not (one.is_in_force and self.now[one.superseded_by].is_in_force)

    @invariant()
    def versions_only_grow(self) -> None:
        for name, one in self.now.items():
            assert one.latest == max(self.wordings[name])
            assert one.pending is None or one.version < one.pending <= one.latest


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("role", ["owner", "editor", "reviewer"])
def test_draft_is_approved_and_goes_live(role: Role) -> None:
    """By members of these three roles, each step by itself."""
    by = Actor(kind="member", id="m", name="M", role=role)
    one = rules.approved(lesson(), wording(1), by=by, at=NOW)
    assert (one.state, one.approved_at) == ("approved", NOW)
    for state in ("canary", "live", "canary", "approved", "live", "retired"):
        one = rules.moved(one, state, by=by, at=NOW)
        assert one.state == state


@pytest.mark.parametrize("by", [VIEWER, KEY, SYSTEM])
def test_approval_is_refused_to_everybody_else(by: Actor) -> None:
    """Viewers, keys of applications, and work without a person."""
    with pytest.raises(Forbidden, match="only a member"):
        rules.approved(lesson(), wording(1), by=by, at=NOW)
    ready = rules.approved(lesson(), wording(1), by=ALICE, at=NOW)
    with pytest.raises(Forbidden):
        rules.moved(ready, "live", by=by, at=NOW)


def test_system_takes_a_lesson_out_of_prompts() -> None:
    """A rollback needs nobody awake."""
    live = lesson(state="live", approved_at=NOW)
    assert rules.moved(live, "approved", by=SYSTEM, at=NOW).state == "approved"
    assert rules.moved(live, "retired", by=SYSTEM, at=NOW).state == "retired"
    assert rules.killed(live, off=True, by=SYSTEM, at=NOW).killed_at == NOW


def test_version_other_than_the_one_that_waits_is_not_approved() -> None:
    """What was written after somebody read it needs to be read, too."""
    edited = rules.edited(lesson(), wording(2))
    with pytest.raises(Conflict, match="version 2 waits for approval, not 1"):
        rules.approved(edited, wording(1), by=ALICE, at=NOW)


def test_edit_of_a_live_lesson_leaves_it_live_with_its_words() -> None:
    """The new words take over when they are approved, and not before."""
    live = lesson(state="live", approved_at=NOW)
    edited = rules.edited(live, wording(2))
    assert (edited.state, edited.text, edited.pending) == ("live", "text 1", 2)
    after = rules.approved(edited, wording(2), by=BOB, at=NOW)
    assert (after.state, after.text, after.pending, after.version) == ("live", "text 2", None, 2)


def test_retired_lesson_comes_back_by_new_words_alone() -> None:
    """Its old words had their reason to go."""
    retired = lesson(state="retired", approved_at=NOW)
    with pytest.raises(Conflict, match="stays retired"):
        rules.moved(retired, "live", by=ALICE, at=NOW)
    back = rules.approved(rules.edited(retired, wording(2)), wording(2), by=ALICE, at=NOW)
    assert (back.state, back.text) == ("approved", "text 2")


def test_expired_lesson_does_not_come_into_force() -> None:
    """Neither by approval nor by a move."""
    with pytest.raises(Conflict, match="expired"):
        rules.approved(lesson(), wording(1, expires_at=NOW), by=ALICE, at=NOW)
    old = lesson(state="approved", approved_at=NOW, expires_at=NOW)
    with pytest.raises(Conflict, match="expired"):
        rules.moved(old, "live", by=ALICE, at=NOW)


def test_circle_of_successors_is_refused() -> None:
    """No lesson comes after itself, on no way."""
    with pytest.raises(Invalid, match="no lesson comes after itself"):
        rules.superseded(lesson(), lesson(), (), by=ALICE, at=NOW)
    with pytest.raises(Invalid, match="no lesson comes after itself"):
        rules.superseded(lesson(), lesson(id="m"), ("n", "l"), by=ALICE, at=NOW)
