"""The whole trail of a trace or session: what was asked, given, answered and said about it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from teachback.core.diff import Change, tracked_change
from teachback.model.feedback import Feedback, ThreadEntry
from teachback.model.trace import Session, Trace
from teachback.store import feedback as feedback_store
from teachback.store import injections, sessions, threads, traces
from teachback.store.database import Database, Row
from teachback.store.injections import StoredInjection

#: What was answered, by trace and span; the span is None for the trace's own output.
Outputs = dict[tuple[str, str | None], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The feedback in force, with everything that led to it."""

    feedback: Feedback
    natural_key: uuid.UUID
    negative: bool
    matched: bool
    #: Earlier judgements under the same natural key, oldest first.
    history: tuple[Feedback, ...] = ()
    thread: tuple[ThreadEntry, ...] = ()
    #: A correction as edits of the output of its trace or span, or of the annotated text; None
    #: for other kinds.
    changes: tuple[Change, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail:
    """A trace with its judgements, oldest first."""

    trace: Trace
    judgements: tuple[Judgement, ...]
    #: Lessons that were considered for it, in the order of the prompt.
    injections: tuple[StoredInjection, ...] = ()


async def get_trail(db: Database, project_id: str, trace_id: str) -> Trail:
    """Return a trace and all feedback on it and its spans; raises NotFound."""
    trace = await traces.get_trace(db, project_id, trace_id)
    rows = await feedback_store.list_for_targets(db, project_id, trace_ids=[trace_id])
    outputs: Outputs = {(trace_id, span.id): span.output for span in trace.spans}
    outputs[trace_id, None] = trace.output
    return Trail(
        trace=trace,
        judgements=await _judgements(db, project_id, rows, outputs),
        injections=tuple(await injections.list_for_trace(db, project_id, trace_id)),
    )


async def get_judgement(db: Database, project_id: str, feedback_id: str) -> Judgement:
    """Return the judgement in force under an id, its own or an earlier one's; raises NotFound."""
    row = await feedback_store.get_feedback(db, project_id, feedback_id)
    outputs = await _outputs(db, project_id, [row])
    return (await _judgements(db, project_id, [row], outputs))[0]


async def get_session_trail(
    db: Database, project_id: str, session_id: str
) -> tuple[Session, list[Trace], tuple[Judgement, ...]]:
    """Return a session, its turns in order, and the feedback on all of them and on itself."""
    session = await sessions.get_session(db, project_id, session_id)
    turns = await traces.list_turns(db, project_id, session_id)
    rows = await feedback_store.list_for_targets(
        db, project_id, trace_ids=[turn.id for turn in turns], session_id=session_id
    )
    outputs = await _span_outputs(db, project_id, rows)
    outputs |= {(turn.id, None): turn.output for turn in turns}
    return session, turns, await _judgements(db, project_id, rows, outputs)


async def _judgements(
    db: Database, project_id: str, rows: Sequence[Row], outputs: Outputs
) -> tuple[Judgement, ...]:
    keys = [row["natural_key"] for row in rows]
    history = await feedback_store.list_history(db, project_id, keys) if keys else {}
    notes = [row["natural_key"] for row in rows if row["kind"] == "annotation"]
    entries = await threads.list_entries(db, project_id, notes) if notes else {}
    return tuple(_judgement(row, history, entries, outputs) for row in rows)


def _judgement(
    row: Row,
    history: dict[uuid.UUID, list[Feedback]],
    entries: dict[uuid.UUID, list[ThreadEntry]],
    outputs: Outputs,
) -> Judgement:
    feedback = feedback_store.from_row(row)
    return Judgement(
        feedback=feedback,
        natural_key=row["natural_key"],
        negative=row["negative"],
        matched=row["matched"],
        history=tuple(history.get(row["natural_key"], ())),
        thread=tuple(entries.get(row["natural_key"], ())),
        changes=_changes(feedback, outputs),
    )


def _changes(feedback: Feedback, outputs: Outputs) -> tuple[Change, ...] | None:
    if feedback.correction is None:
        return None
    if feedback.selector is not None:
        before: str | None = feedback.selector.exact
    else:
        before = outputs.get((feedback.trace_id or "", feedback.span_id))
    return None if before is None else tuple(tracked_change(before, feedback.correction))


async def _outputs(db: Database, project_id: str, rows: Sequence[Row]) -> Outputs:
    wanted = [row["trace_id"] for row in rows if _corrects(row) and row["span_id"] is None]
    found = await traces.find_whole_outputs(db, project_id, wanted) if wanted else {}
    spans = await _span_outputs(db, project_id, rows)
    return spans | {(trace_id, None): output for trace_id, output in found.items()}


async def _span_outputs(db: Database, project_id: str, rows: Sequence[Row]) -> Outputs:
    wanted = [
        (row["trace_id"], row["span_id"])
        for row in rows
        if _corrects(row) and row["span_id"] is not None
    ]
    return await traces.find_span_outputs(db, project_id, wanted) if wanted else {}


def _corrects(row: Row) -> bool:
    return row["trace_id"] is not None and row["correction"] is not None
