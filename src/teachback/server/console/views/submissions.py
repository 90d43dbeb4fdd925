"""Feedback in full, grouped by who gave it in one stretch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from teachback.model.project import Reason
from teachback.record.trail import Judgement
from teachback.server.console.views.judgements import FeedbackView, feedback_view
from teachback.server.console.views.markup import Piece, readable, tracked
from teachback.server.console.views.notes import Note

#: Judgements of one author within this time carry one time.
TOGETHER = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One feedback on the trail, with its difference, note and history."""

    view: FeedbackView
    changes: tuple[Piece, ...]
    note: Note | None
    history: tuple[FeedbackView, ...]
    #: When it was given, unless that was together with the first of its group.
    later_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What one author gave without anybody else between."""

    author: str
    source: str
    occurred_at: datetime
    entries: tuple[Entry, ...]


def submissions_of(
    judged: Sequence[Judgement], notes: Mapping[str, Note], reasons: Mapping[str, Reason]
) -> tuple[Submission, ...]:
    """Group feedback that is in order of time.

    `notes` are those of annotations, by the feedback's id; `reasons` the project's, by label.
    """
    groups = groupby(judged, key=lambda one: (one.feedback.author, one.feedback.source))
    return tuple(_submission(list(group), notes, reasons) for _, group in groups)


def _submission(
    group: Sequence[Judgement], notes: Mapping[str, Note], reasons: Mapping[str, Reason]
) -> Submission:
    start = group[0].feedback.occurred_at
    entries = tuple(_entry(one, notes.get(one.feedback.id), reasons, start) for one in group)
    return Submission(
        author=entries[0].view.author,
        source=entries[0].view.source,
        occurred_at=start,
        entries=entries,
    )


def _entry(
    one: Judgement, note: Note | None, reasons: Mapping[str, Reason], start: datetime
) -> Entry:
    at = one.feedback.occurred_at
    return Entry(
        view=feedback_view(one.feedback, reasons, negative=one.negative),
        changes=tracked(readable(one.changes or ())),
        note=note,
        history=tuple(feedback_view(earlier, reasons) for earlier in reversed(one.history)),
        later_at=at if at - start >= TOGETHER else None,
    )
