"""The trail is laid out from the trace and its judgements alone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from teachback.core.diff import tracked_change
from teachback.model.feedback import Feedback, Selector, ThreadEntry
from teachback.model.trace import ContextItem, Span, Trace
from teachback.record.trail import Judgement, Trail
from teachback.server.console.views.steps import MAX_STEPS, MAX_TEXT, waterfall
from teachback.server.console.views.trail import TrailView, trail_view

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
OUTPUT = "Open Settings and press Export."


def judgement(number: int, kind: Any, **fields: Any) -> Judgement:
    extra = {key: fields.pop(key) for key in ("history", "thread") if key in fields}
    feedback = Feedback(
        id=f"f-{number}", kind=kind, name=fields.pop("name", kind), trace_id="t",
        occurred_at=AT + timedelta(minutes=number), **fields,
    )  # fmt: skip
    before = feedback.selector.exact if feedback.selector else OUTPUT
    changes = tuple(tracked_change(before, feedback.correction)) if feedback.correction else None
    return Judgement(
        feedback=feedback, natural_key=uuid.uuid4(), negative=False, matched=True,
        changes=changes, **extra,
    )  # fmt: skip


def annotation(number: int, exact: str, **fields: Any) -> Judgement:
    start = fields.pop("start", OUTPUT.find(exact))
    where = {key: fields.pop(key) for key in ("part", "index") if key in fields}
    selector = Selector(exact=exact, start=start, end=start + len(exact), **where)
    return judgement(number, "annotation", selector=selector, identifier=str(number), **fields)


def view(*judgements: Judgement, **fields: Any) -> TrailView:
    known: dict[str, Any] = {"id": "t", "query": "How?", "output": OUTPUT, "started_at": AT}
    trace = Trace(**known | fields)
    return trail_view(Trail(trace=trace, judgements=judgements), {})


def test_notes_are_numbered_as_they_are_read() -> None:
    """First the context's, then the output's from its beginning, whoever was first."""
    context = (ContextItem(kind="document", name="menu", content="Settings has Export."),)
    shown = view(
        annotation(1, "Export"),
        annotation(2, "Settings"),
        annotation(3, "Settings", start=0, part="context", index=0),
        context=context,
    )
    numbers = {
        entry.view.id: entry.note.number
        for submission in shown.submissions
        for entry in submission.entries
        if entry.note
    }
    assert numbers == {"f-3": 1, "f-2": 2, "f-1": 3}
    assert [entry.view.id for entry in shown.notes] == ["f-2", "f-1"]
    assert shown.context[0].open


def test_latest_correction_is_drawn_when_there_are_several() -> None:
    """The output shows the correction in force that was made last; a withdrawn one never."""
    shown = view(
        judgement(1, "correction", correction="Open Reports.", author="bob"),
        judgement(2, "correction", correction="Press Export.", author="alice"),
        judgement(3, "correction", author="charlie", withdrawn=True),
    )
    assert shown.output is not None
    assert shown.output.corrected == "Press Export."
    assert shown.output.corrected_by == "alice"
    kept = [piece.text for piece in shown.output.pieces if piece.change != "-"]
    assert "".join(kept) == "Press Export."


def test_rejected_suggestion_leaves_the_text_alone() -> None:
    """A rejected suggestion is still a note; it no longer changes the text shown."""
    entry = ThreadEntry(id="e", action="reject", author="alice", created_at=AT)
    shown = view(annotation(1, "Settings", correction="Reports", thread=(entry,)))
    assert shown.output is not None
    assert all(piece.change == "=" for piece in shown.output.pieces)
    assert shown.notes[0].note is not None
    assert shown.notes[0].note.state == "rejected"


def test_note_has_no_place_when_its_text_is_gone_or_withdrawn() -> None:
    """Nothing is marked for a quote that is not there, an index that is not, or a withdrawal."""
    shown = view(
        annotation(1, "Reports", start=5),
        annotation(2, "x", part="context", index=7, start=0),
        annotation(3, "Settings", withdrawn=True),
    )
    assert shown.output is not None
    assert not shown.output.is_marked
    assert shown.feedback_count == 3


def test_feedback_is_grouped_by_submission_and_author() -> None:
    """What one person gave in one go stands together; behaviour is told as one story."""
    shown = view(
        judgement(1, "rating", score=0, scale="thumbs", author="u", submission_id="s"),
        judgement(2, "comment", comment="No.", author="u", submission_id="s"),
        judgement(3, "comment", comment="Yes.", author="v", submission_id="s"),
        judgement(4, "implicit", name="copy", score=1, author="u"),
        judgement(5, "implicit", name="dwell", score=3, author="u"),
    )
    groups = [[entry.view.id for entry in group.entries] for group in shown.submissions]
    assert groups == [["f-1", "f-2"], ["f-3"], ["f-4", "f-5"]]


def test_query_is_cut_in_the_title_when_long() -> None:
    """A long query keeps its whole text beside the title."""
    shown = view(query="why " * 100)
    assert shown.title.endswith("…")
    assert shown.query == "why " * 100
    assert view(query="Why?").query is None


def test_waterfall_is_bounded_when_a_trace_has_ten_thousand_spans() -> None:
    """Rows and texts are cut and counted; cycles and missing parents do not matter."""
    spans = [
        Span(id=str(n), name="s", parent_id=str(n + 1), started_at=AT, latency_ms=n, input="x" * 10)
        for n in range(10_000)
    ]
    big = Span(id="big", name="s", parent_id="big", output="y" * 10**6)
    shown = waterfall([big, *spans])
    assert (len(shown.steps), shown.hidden) == (MAX_STEPS, 10_001 - MAX_STEPS)
    assert len(shown.steps[0].output or "") < MAX_TEXT + 100
    assert all(step.depth == 0 for step in shown.steps)


def test_bars_stay_inside_when_steps_overlap() -> None:
    """Each bar begins and ends within the trace."""
    spans = [
        Span(id="a", name="a", started_at=AT, latency_ms=1_000),
        Span(id="b", name="b", parent_id="a", started_at=AT + timedelta(seconds=1), latency_ms=0),
    ]
    first, second = waterfall(spans).steps
    assert (first.left, first.width) == (0, 100)
    assert second.depth == 1
    assert second.left is not None
    assert second.width is not None
    assert second.left + second.width <= 100
