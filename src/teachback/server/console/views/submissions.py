"""Feedback in full, grouped by what one author gave in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from teachback.model.feedback import Feedback
from teachback.model.project import Reason
from teachback.record.trail import Judgement
from teachback.server.console.views.judgements import FeedbackView, feedback_view
from teachback.server.console.views.markup import Piece, readable, tracked
from teachback.server.console.views.notes import Note


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One feedback on the trail, with its difference, note and history."""

    view: FeedbackView
    changes: tuple[Piece, ...]
    note: Note | None
    history: tuple[FeedbackView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What one author gave in one go."""

    author: str
    source: str
    occurred_at: datetime
    entries: tuple[Entry, ...]


def submissions_of(
    judged: Sequence[Judgement], notes: Mapping[str, Note], reasons: Mapping[str, Reason]
) -> tuple[Submission, ...]:
    """Group what was given in one go by one author, in order of time.

    `notes` are those of annotations, by the feedback's id; `reasons` the project's, by label.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for one in judged:
        together = one.feedback.submission_id or _alone(one.feedback)
        entry = _entry(one, notes.get(one.feedback.id), reasons)
        groups.setdefault((together, one.feedback.author), []).append(entry)
    return tuple(_submission(group) for group in groups.values())


def _alone(feedback: Feedback) -> str:
    """Return what a feedback without a submission is grouped by: behaviour is told as one story."""
    return feedback.kind if feedback.kind == "implicit" else feedback.id


def _entry(one: Judgement, note: Note | None, reasons: Mapping[str, Reason]) -> Entry:
    return Entry(
        view=feedback_view(one.feedback, reasons, negative=one.negative),
        changes=tracked(readable(one.changes or ())),
        note=note,
        history=tuple(feedback_view(earlier, reasons) for earlier in reversed(one.history)),
    )


def _submission(entries: Sequence[Entry]) -> Submission:
    first = entries[0].view
    return Submission(
        author=first.author,
        source=first.source,
        occurred_at=first.occurred_at,
        entries=tuple(entries),
    )
