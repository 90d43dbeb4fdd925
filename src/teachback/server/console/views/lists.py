"""Rows of the lists: feedback, sessions, and the turns of one session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from markupsafe import Markup

from teachback.model.project import Key, Reason
from teachback.model.trace import Environment, Session, Trace
from teachback.record.trail import Judgement
from teachback.server.console.render import path_of
from teachback.server.console.views.formats import excerpt
from teachback.server.console.views.judgements import FeedbackView, Tone, feedback_view
from teachback.server.console.views.prose import render_markdown
from teachback.server.console.views.steps import cut
from teachback.store.database import Row
from teachback.store.feedback import from_row

TITLE_LENGTH = 160
#: Turns that a session's page shows; beyond it, the API.
MAX_TURNS = 200
#: Characters, or lines, from which an answer scrolls on its own.
LONG, LONG_LINES = 1_500, 14


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackRow:
    """One line of the list: what one author said and did about one answer, in one stretch."""

    #: What was said comes before what was only done.
    views: tuple[FeedbackView, ...]
    icon: str
    tone: Tone
    author: str
    source: str
    #: The latest of them.
    occurred_at: datetime
    withdrawn: bool
    #: Its trail, or its session; None while its target has not arrived.
    href: str | None
    #: The query of its trace; None when it has none or has not arrived.
    query: str | None
    environment: Environment | None
    #: The id of what was judged.
    target: str
    waiting: bool
    #: The ids of all of it, as JSON, for a box that chooses it.
    choose: str
    #: What members tagged any of it with.
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionRow:
    """One line of the list of sessions."""

    href: str
    title: str
    user: str
    environment: Environment
    turns: int
    duration: float
    ended_at: datetime
    feedback: int
    negative: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One exchange of a session."""

    number: int
    href: str
    query: str
    output: str | None
    #: The output's Markdown as HTML; None when it is too long for that.
    formatted: Markup | None
    error: str | None
    feedback: tuple[FeedbackView, ...]

    @property
    def is_long(self) -> bool:
        """Taller than a screen holds: it scrolls on its own."""
        return len(self.output or "") > LONG or (self.output or "").count("\n") > LONG_LINES


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Where a turn stands in its session."""

    number: int | None = None
    of: int | None = None
    previous: str | None = None
    next: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow:
    """One API key."""

    id: str
    name: str
    kind: str
    begins: str
    created_at: datetime
    revoked_at: datetime | None


def feedback_rows(
    rows: Sequence[Row],
    traces: Mapping[str, Row],
    reasons: Mapping[str, Reason],
    tags: Mapping[str, Sequence[str]],
) -> list[FeedbackRow]:
    """Describe stored feedback, newest first, beside the traces that have arrived.

    Neighbours by one author on one target share a line.
    """
    groups = groupby(rows, key=lambda row: (row["trace_id"], row["session_id"], row["author"]))
    return [_feedback_row(list(group), traces, reasons, tags) for _, group in groups]


def _feedback_row(
    rows: Sequence[Row],
    traces: Mapping[str, Row],
    reasons: Mapping[str, Reason],
    tags: Mapping[str, Sequence[str]],
) -> FeedbackRow:
    row, feedback = rows[0], from_row(rows[0])
    trace = traces.get(feedback.trace_id or "")
    views = [feedback_view(from_row(one), reasons, negative=one["negative"]) for one in rows]
    views.sort(key=lambda view: (view.withdrawn, view.kind == "implicit"))
    first = next((view for view in views if view.tone == "negative"), views[0])
    return FeedbackRow(
        views=tuple(views),
        icon=first.icon,
        tone=first.tone,
        author=first.author,
        source=first.source,
        occurred_at=feedback.occurred_at,
        withdrawn=all(view.withdrawn for view in views),
        href=_target_path(feedback.trace_id, feedback.session_id, matched=row["matched"]),
        query=trace["query"] if trace else None,
        environment=trace["environment"] if trace else None,
        target=feedback.trace_id or feedback.session_id or "",
        waiting=not row["matched"],
        choose=json.dumps([one["id"] for one in rows]),
        tags=tuple(sorted({tag for one in rows for tag in tags.get(one["id"], ())})),
    )


def session_row(session: Session, opening: Row | None) -> SessionRow:
    """Describe a session by its first query and what was said about its turns."""
    title = excerpt(opening["query"], TITLE_LENGTH) if opening else ""
    return SessionRow(
        href=path_of("sessions", session.id),
        title=title or "An empty query",
        user=session.user_id or "",
        environment=session.environment,
        turns=session.turns,
        duration=session.duration_s,
        ended_at=session.ended_at,
        feedback=opening["feedback"] if opening else 0,
        negative=opening["negative"] if opening else 0,
    )


def turn_views(
    traces: Sequence[Trace], judgements: Sequence[Judgement], reasons: Mapping[str, Reason]
) -> tuple[Turn, ...]:
    """Describe the turns of a session with the feedback on each."""
    by_trace: dict[str | None, list[FeedbackView]] = {}
    for one in judgements:
        view = feedback_view(one.feedback, reasons, negative=one.negative)
        by_trace.setdefault(one.feedback.trace_id, []).append(view)
    return tuple(
        Turn(
            number=index,
            href=path_of("traces", trace.id),
            query=trace.query,
            output=cut(trace.output),
            formatted=None if trace.output is None else render_markdown(trace.output),
            error=trace.error,
            feedback=tuple(by_trace.get(trace.id, ())),
        )
        for index, trace in enumerate(traces[:MAX_TURNS], 1)
    )


def neighbours(trace_id: str, ids: Sequence[str]) -> Neighbours:
    """Find a turn's place among the turns of its session."""
    if trace_id not in ids:
        return Neighbours()
    at = ids.index(trace_id)
    return Neighbours(
        number=at + 1,
        of=len(ids),
        previous=path_of("traces", ids[at - 1]) if at else None,
        next=path_of("traces", ids[at + 1]) if at + 1 < len(ids) else None,
    )


def key_row(key: Key) -> KeyRow:
    """Describe a key by what can be seen of it."""
    prefix = "sk" if key.kind == "secret" else "pk"
    return KeyRow(
        id=key.id,
        name=key.name,
        kind=key.kind,
        begins=f"tb_{prefix}_{key.id}",
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )


def _target_path(trace_id: str | None, session_id: str | None, *, matched: bool) -> str | None:
    if not matched:
        return None
    if trace_id is not None:
        return path_of("traces", trace_id)
    return path_of("sessions", session_id or "")
