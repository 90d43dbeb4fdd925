"""Lessons as pages show them: where each stands, what was learned from, what can be done next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from teachback.act.evidence import Evidence
from teachback.act.lessons import MOVES
from teachback.act.likeness import Like
from teachback.core.diff import Change, tracked_change
from teachback.errors import Invalid
from teachback.model.lesson import (
    Lesson,
    LessonEvent,
    LessonKind,
    LessonState,
    LessonVersion,
    Scope,
)
from teachback.model.project import Reason
from teachback.server.console.render import path_of
from teachback.server.console.views.judgements import FeedbackView, feedback_view, reasons_by_label
from teachback.server.console.views.markup import Piece

KIND_TITLES: dict[LessonKind, str] = {
    "guidance": "Guidance", "fact": "Fact", "template": "Template", "example": "Example",
}  # fmt: skip
KIND_ICONS: dict[LessonKind, str] = {
    "guidance": "reasons", "fact": "document", "template": "output", "example": "correction",
}  # fmt: skip
#: How a state is coloured.
STATE_TONES: dict[LessonState, str] = {
    "draft": "warning", "approved": "neutral", "canary": "test", "live": "positive",
    "retired": "gone",
}  # fmt: skip
#: What moving to a state is called, and what it means.
MOVE_TITLES: dict[LessonState, tuple[str, str]] = {
    "canary": ("Try it", "A part of the end users gets it."),
    "live": ("Put it live", "Everybody in its scope gets it."),
    "approved": ("Take it back", "Nobody gets it; it stays approved."),
    "retired": ("Retire it", "Nobody gets it; it comes back by new words alone."),
}
_DIMENSIONS = tuple(Scope.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonRow:
    """One line of the list."""

    href: str
    icon: str
    kind: str
    state: LessonState
    tone: str
    situation: str
    text: str
    scope: str
    waits: bool
    killed: bool
    #: Requests that were given it.
    given: int
    author: str
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """Something that can be done next."""

    state: LessonState
    title: str
    meaning: str
    primary: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceView:
    """One judgement behind a lesson."""

    view: FeedbackView
    href: str | None
    query: str | None
    output: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EventView:
    """One step of a history."""

    title: str
    actor: str
    by_member: bool
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonPage:
    """Everything the page of a lesson shows."""

    lesson: Lesson
    kind: str
    icon: str
    tone: str
    scope: str
    #: The version to be read and approved, if one waits.
    waiting: LessonVersion | None
    #: From the words in force to those that wait.
    changes: tuple[Piece, ...]
    moves: tuple[Move, ...]
    #: Lessons in force for the same situation, as the form hands them back.
    rivals: tuple[str, ...]
    versions: tuple[LessonVersion, ...]


def lesson_row(lesson: Lesson, given: int) -> LessonRow:
    """Describe a lesson in a line."""
    return LessonRow(
        href=path_of("lessons", lesson.id),
        icon=KIND_ICONS[lesson.kind],
        kind=KIND_TITLES[lesson.kind],
        state=lesson.state,
        tone=STATE_TONES[lesson.state],
        situation=lesson.situation,
        text=lesson.answer or lesson.text,
        scope=scope_line(lesson.scope),
        waits=lesson.pending is not None,
        killed=lesson.killed_at is not None,
        given=given,
        author=lesson.author,
        updated_at=lesson.updated_at,
    )


def lesson_page(
    lesson: Lesson, versions: Sequence[LessonVersion], like: Sequence[Like]
) -> LessonPage:
    """Lay out a lesson beside those that say something about the same situation."""
    wanted = lesson.version if lesson.state == "draft" else lesson.pending
    waiting = next((one for one in versions if one.version == wanted), None)
    in_force = lesson.approved_at is not None
    changes = tracked_change(_words(lesson), _words(waiting)) if waiting and in_force else []
    return LessonPage(
        lesson=lesson,
        kind=KIND_TITLES[lesson.kind],
        icon=KIND_ICONS[lesson.kind],
        tone=STATE_TONES[lesson.state],
        scope=scope_line((waiting or lesson).scope),
        waiting=waiting,
        changes=pieces(changes),
        moves=tuple(_move(lesson.state, to) for to in MOVES[lesson.state]),
        rivals=tuple(one.id for one in like if one.state in ("canary", "live")),
        versions=tuple(versions),
    )


def evidence_views(
    found: Sequence[Evidence], reasons: Sequence[Reason]
) -> tuple[EvidenceView, ...]:
    """Describe what a lesson was learned from."""
    known = reasons_by_label(reasons)
    return tuple(
        EvidenceView(
            view=feedback_view(one.feedback, known),
            href=path_of("traces", one.feedback.trace_id) if one.feedback.trace_id else None,
            query=one.query,
            output=one.output,
        )
        for one in found
    )


def event_view(event: LessonEvent) -> EventView:
    """Describe a step of a lesson's history."""
    title = {
        "drafted": "Drafted",
        "edited": f"Wrote version {event.version}",
        "approved": f"Approved version {event.version}",
        "declined": f"Declined version {event.version}",
        "moved": f"Moved from {event.from_state} to {event.to_state}",
        "superseded": "Replaced by another lesson",
        "killed": "Killed",
        "revived": "Took the kill back",
    }[event.action]
    return EventView(
        title=title, actor=event.actor.name, by_member=event.actor.kind == "member",
        reason=event.reason, at=event.at,
    )  # fmt: skip


def scope_line(scope: Scope) -> str:
    """Write a scope as people type it: `roles: admin, owner; locales: de`; empty for everywhere."""
    parts = asdict(scope).items()
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in parts if values)


def read_scope(line: str) -> Scope:
    """Read what `scope_line` writes; raises Invalid."""
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (one.strip() for one in line.split(";"))):
        name, colon, values = part.partition(":")
        words = tuple(word for one in values.split(",") if (word := one.strip()))
        if not colon or name.strip() not in _DIMENSIONS or not words or len(words) > 50:
            raise Invalid(
                "scope", value=part, rule="a scope is written as roles: admin, owner; locales: de",
                fix=f"Use {', '.join(_DIMENSIONS)}, or leave it empty for everywhere",
            )  # fmt: skip
        if any(len(word) > 200 for word in words):
            raise Invalid("scope", rule="a value of a scope has up to 200 characters",
                          fix="Shorten it")  # fmt: skip
        found[name.strip()] = words
    return Scope(**found)


def pieces(changes: Sequence[Change]) -> tuple[Piece, ...]:
    """Return a tracked change as the page draws it."""
    return tuple(Piece(text=text, change=op) for op, text in changes)


def _words(wording: Lesson | LessonVersion) -> str:
    parts = [wording.situation, wording.text, wording.answer or ""]
    return "\n\n".join(dict.fromkeys(part for part in parts if part))


def _move(state: LessonState, to: LessonState) -> Move:
    title, meaning = MOVE_TITLES[to]
    if state == "draft" and to == "retired":
        title, meaning = "Discard it", "The draft is kept in the history."
    if state == "live" and to == "canary":
        title, meaning = "Back to trying it", "Only a part of the end users gets it again."
    forward = {"approved": "canary", "canary": "live"}
    return Move(state=to, title=title, meaning=meaning, primary=forward.get(state) == to)
