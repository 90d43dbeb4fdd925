"""The rules of a lesson's life: who may do what, and what follows.

    draft ──approve──▶ approved ──▶ canary ◀──▶ live
      │                    ▲  └───────────────▶ │
      └──▶ retired ◀───────┴────────────────────┘

Only a wording that a member has approved is ever in force. A later wording waits as `pending`,
and the approved one stays where it is until the new one is approved in its turn. A retired lesson
comes back by a new wording alone. Pure: `act/curate.py` reads and keeps.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from teachback.errors import Conflict, Forbidden, Invalid
from teachback.model.lesson import Actor, Lesson, LessonState, LessonVersion
from teachback.model.project import Role

#: Who may let a lesson reach prompts, and who may write one. Keys of applications write drafts
#: and take lessons out of prompts, the system only the latter; neither ever approves.
MAY_APPROVE: tuple[Role, ...] = ("owner", "editor", "reviewer")

#: Where a lesson may go from where it stands. Approval is not among them: it is of a wording.
MOVES: dict[LessonState, tuple[LessonState, ...]] = {
    "draft": ("retired",),
    "approved": ("canary", "live", "retired"),
    "canary": ("live", "approved", "retired"),
    "live": ("canary", "approved", "retired"),
    "retired": (),
}
#: Moves that take a lesson out of prompts.
_OUT: tuple[LessonState, ...] = ("approved", "retired")


def check_approver(actor: Actor) -> None:
    """Raise Forbidden unless this is a member whose role lets them approve."""
    if actor.kind != "member" or actor.role not in MAY_APPROVE:
        raise Forbidden(
            "only a member who is owner, editor or reviewer lets a lesson reach prompts: do it in "
            "the console, or with a key that acts for you (teachback keys create --member EMAIL)"
        )


def check_author(actor: Actor) -> None:
    """Raise Forbidden unless this is a member who may approve, or an application's key."""
    if actor.kind != "key":
        check_approver(actor)


def edited(lesson: Lesson, wording: LessonVersion) -> Lesson:
    """Return the lesson with a new draft; what was approved stays in force."""
    numbered = replace(lesson, latest=wording.version, updated_at=wording.created_at)
    if lesson.approved_at is None and lesson.state == "draft":
        return _worded(numbered, wording)
    return replace(numbered, pending=wording.version)


def approved(lesson: Lesson, wording: LessonVersion, *, by: Actor, at: datetime) -> Lesson:
    """Return the lesson with this wording in force; raises Forbidden or Conflict.

    The wording is the one that was read: one written meanwhile waits for its own approval.
    """
    check_approver(by)
    waiting = waits_for_approval(lesson)
    if waiting is None:
        raise Conflict(f"version {lesson.version} is approved already, and no later one waits")
    if wording.version != waiting:
        raise Conflict(
            f"version {waiting} waits for approval, not {wording.version}: read it, then approve it"
        )
    _check_expiry(wording, at)
    state: LessonState = lesson.state if lesson.is_in_force else "approved"
    worded = _worded(lesson, replace(wording, approved_at=wording.approved_at or at))
    return replace(worded, state=state, pending=None, updated_at=at)


def declined(lesson: Lesson, *, by: Actor, at: datetime) -> Lesson:
    """Return the lesson without the wording that waits; raises Forbidden or Conflict."""
    check_author(by)
    if lesson.pending is None:
        raise Conflict("no later version waits for approval: retire the lesson to decline a draft")
    return replace(lesson, pending=None, updated_at=at)


def moved(
    lesson: Lesson, to: LessonState, *, by: Actor, at: datetime, successor: Lesson | None = None
) -> Lesson:
    """Return the lesson in another state; raises Forbidden, Conflict or Invalid.

    `successor` is the lesson that takes its place, when it has one.
    """
    if by.kind != "system" or to not in _OUT:
        (check_author if to in _OUT else check_approver)(by)
    if to not in MOVES[lesson.state]:
        raise Conflict(_no_way(lesson, to))
    if to not in _OUT:
        _check_entry(lesson, at, successor)
    return replace(lesson, state=to, updated_at=at)


def superseded(
    lesson: Lesson, successor: Lesson, line: tuple[str, ...], *, by: Actor, at: datetime
) -> Lesson:
    """Return the lesson with its successor; out of force when that one is in force.

    `line` are the successor's own successors. Raises Forbidden, Invalid or Conflict.
    """
    check_approver(by)
    if lesson.id in (successor.id, *line):
        raise Invalid(
            "by", value=successor.id, rule="no lesson comes after itself",
            fix="Name a lesson that this one does not take the place of",
        )  # fmt: skip
    return given_way(replace(lesson, superseded_by=successor.id, updated_at=at), successor, at=at)


def given_way(lesson: Lesson, successor: Lesson, *, at: datetime) -> Lesson:
    """Return the lesson retired when its successor is in force, else as it is."""
    if successor.is_in_force and lesson.state != "retired":
        return replace(lesson, state="retired", updated_at=at)
    return lesson


def killed(lesson: Lesson, *, off: bool, by: Actor, at: datetime) -> Lesson:
    """Return the lesson with its kill switch set, or, by an approver alone, taken back."""
    if off and by.kind != "system":
        check_author(by)
    elif not off:
        check_approver(by)
    if off is (lesson.killed_at is not None):
        raise Conflict("the lesson is killed already" if off else "the lesson is not killed")
    return replace(lesson, killed_at=at if off else None, updated_at=at)


def waits_for_approval(lesson: Lesson) -> int | None:
    """Return the version that waits for approval."""
    return lesson.version if lesson.state == "draft" else lesson.pending


def _worded(lesson: Lesson, wording: LessonVersion) -> Lesson:
    return replace(
        lesson, version=wording.version, situation=wording.situation, text=wording.text,
        answer=wording.answer, scope=wording.scope, priority=wording.priority,
        provenance=wording.provenance, author=wording.author, reason=wording.reason,
        expires_at=wording.expires_at, approved_at=wording.approved_at,
    )  # fmt: skip


def _check_entry(lesson: Lesson, at: datetime, successor: Lesson | None) -> None:
    if successor is not None and successor.is_in_force:
        raise Conflict(
            f"lesson {successor.id!a} has taken its place and is in force: retire that one first"
        )
    if lesson.expires_at is not None and lesson.expires_at <= at:
        raise Conflict("the lesson has expired: edit its expiry and approve it again")


def _check_expiry(wording: LessonVersion, at: datetime) -> None:
    if wording.expires_at is not None and wording.expires_at <= at:
        raise Conflict("this version has expired: edit its expiry before it is approved")


def _no_way(lesson: Lesson, to: LessonState) -> str:
    if lesson.state == to:
        return f"the lesson is {to} already"
    if lesson.state == "draft":
        return f"a draft cannot become {to}: approve it first"
    if lesson.state == "retired":
        return "a retired lesson stays retired: edit it, and approve the new version"
    return f"a lesson that is {lesson.state} cannot become {to}: it may become " + ", ".join(
        MOVES[lesson.state]
    )
