"""The trail of one exchange: query, context, steps, output and the feedback it received."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from teachback.model.feedback import Feedback
from teachback.model.project import Reason
from teachback.model.trace import ContextItem, ContextKind, Trace
from teachback.record.trail import Judgement, Trail
from teachback.server.console.views.anchors import Anchor
from teachback.server.console.views.facts import Fact, facts, metadata_json
from teachback.server.console.views.formats import excerpt, number, plural
from teachback.server.console.views.injections import InjectionsView, injections_view
from teachback.server.console.views.markup import Piece, mark_up, readable
from teachback.server.console.views.notes import Note, note
from teachback.server.console.views.prose import render_markdown
from teachback.server.console.views.steps import Waterfall, cut, waterfall
from teachback.server.console.views.submissions import Entry, Submission, submissions_of

#: A query longer than this is a text to read, not a title.
TITLE_LENGTH = 140
#: Characters by which an earlier message is recognised.
BEGINNING = 90

CONTEXT_TITLES: dict[ContextKind, str] = {
    "system_prompt": "System prompt",
    "document": "Document",
    "tool": "Tool",
    "message": "Message",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextView:
    """One layer of the context stack."""

    kind: ContextKind
    kind_title: str
    name: str
    version: str
    score: str | None
    length: str
    #: How an earlier message begins; other layers are known by their names.
    begins: str
    pieces: tuple[Piece, ...]
    #: It carries annotations, so it starts unfolded.
    open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputView:
    """The output in each way it can be looked at."""

    pieces: tuple[Piece, ...]
    #: Something is drawn over the text: annotations, or the difference to a correction.
    is_marked: bool
    plain: str
    #: What it should have said, by the latest correction.
    corrected: str | None
    corrected_by: str | None
    formatted: Markup | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrailView:
    """Everything the trail page shows."""

    id: str
    title: str
    #: The query in full, when the title is only its beginning.
    query: str | None
    trace: Trace
    facts: tuple[Fact, ...]
    metadata: str | None
    context: tuple[ContextView, ...]
    #: None when no lesson was chosen for it.
    lessons: InjectionsView | None
    steps: Waterfall
    output: OutputView | None
    submissions: tuple[Submission, ...]
    notes: tuple[Entry, ...]
    feedback_count: int


def trail_view(trail: Trail, reasons: Mapping[str, Reason]) -> TrailView:
    """Lay out a trace and its feedback; `reasons` are the project's, by label."""
    trace, judged = trail.trace, trail.judgements
    notes = _notes(trace, judged)
    submissions = submissions_of(judged, notes, reasons)
    entries = [entry for submission in submissions for entry in submission.entries]
    title = excerpt(trace.query, TITLE_LENGTH)
    return TrailView(
        id=trace.id,
        title=title or "An empty query",
        query=None if title == trace.query else trace.query,
        trace=trace,
        facts=facts(trace),
        metadata=metadata_json(trace.metadata),
        context=_context(trace, tuple(notes.values())),
        lessons=injections_view(trail.injections),
        steps=waterfall(trace.spans),
        output=_output(trace, judged, tuple(notes.values())),
        submissions=submissions,
        notes=_margin(entries),
        feedback_count=len(judged),
    )


def _notes(trace: Trace, judged: Sequence[Judgement]) -> dict[str, Note]:
    """Give numbers to the annotations of this trace's texts in the order in which they are read."""
    annotations = [one for one in judged if one.feedback.selector is not None]
    annotations.sort(key=_reading_order)
    return {
        one.feedback.id: note(index, one.feedback, one.thread, _selected_text(trace, one.feedback))
        for index, one in enumerate(annotations, 1)
    }


def _margin(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the annotations of the output in the order of their numbers."""
    numbered = {entry.note.number: entry for entry in entries if entry.note}
    ordered = [numbered[number] for number in sorted(numbered)]
    return tuple(entry for entry in ordered if entry.note and entry.note.part == "output")


def _reading_order(one: Judgement) -> tuple[bool, int, int]:
    selector = one.feedback.selector
    assert selector is not None  # only annotations are ordered
    return selector.part == "output", selector.index or 0, selector.start


def _selected_text(trace: Trace, feedback: Feedback) -> str:
    """Return the text that an annotation is about, or an empty one when there is none."""
    selector = feedback.selector
    if selector is None or feedback.span_id is not None:
        return ""
    if selector.part == "output":
        return trace.output or ""
    if selector.index is None or not 0 <= selector.index < len(trace.context):
        return ""
    return trace.context[selector.index].content or ""


def _anchors(notes: Sequence[Note], part: str, index: int | None = None) -> list[Anchor]:
    return [
        one.anchor
        for one in notes
        if one.anchor and one.part == part and (part == "output" or one.index == index)
    ]


def _context(trace: Trace, notes: Sequence[Note]) -> tuple[ContextView, ...]:
    return tuple(
        _context_item(item, _anchors(notes, "context", index))
        for index, item in enumerate(trace.context)
    )


def _context_item(item: ContextItem, anchors: Sequence[Anchor]) -> ContextView:
    content = item.content or ""
    # A cut text has lost the places of its notes.
    pieces = mark_up(content, anchors) if anchors else (Piece(text=cut(content) or ""),)
    return ContextView(
        kind=item.kind,
        kind_title=CONTEXT_TITLES[item.kind],
        name=item.name,
        version=item.version,
        score=number(item.score) if item.score is not None else None,
        length=plural(len(content), "character"),
        begins=excerpt(content, BEGINNING) if item.kind == "message" else "",
        pieces=pieces,
        open=bool(anchors),
    )


def _output(trace: Trace, judged: Sequence[Judgement], notes: Sequence[Note]) -> OutputView | None:
    if trace.output is None:
        return None
    correction = _latest_correction(judged)
    corrected = correction.feedback.correction if correction else None
    anchors = _anchors(notes, "output")
    changes = readable(correction.changes or ()) if correction else []
    return OutputView(
        pieces=mark_up(trace.output, anchors, changes),
        is_marked=bool(anchors or changes),
        plain=trace.output,
        corrected=corrected,
        corrected_by=(correction.feedback.author or None) if correction else None,
        formatted=render_markdown(trace.output),
    )


def _latest_correction(judged: Sequence[Judgement]) -> Judgement | None:
    """Return the correction of the whole output that is in force and was made last."""
    corrections = [
        one
        for one in judged
        if one.feedback.kind == "correction"
        and one.feedback.span_id is None
        and not one.feedback.withdrawn
    ]
    return corrections[-1] if corrections else None
