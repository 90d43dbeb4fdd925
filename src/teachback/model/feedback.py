"""Feedback: any judgement of an output, one record, six kinds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from teachback.model.trace import Metadata

Kind = Literal["rating", "reasons", "comment", "correction", "annotation", "implicit"]
Source = Literal["end_user", "reviewer", "evaluator", "judge", "detector"]
Scale = Literal["thumbs", "stars", "unit"]
TargetType = Literal["trace", "span", "session"]
ThreadAction = Literal["reply", "resolve", "reopen", "accept", "reject"]
SelectorPart = Literal["output", "context"]

#: What was judged when the sender does not say.
DEFAULT_NAMES: dict[Kind, str] = {
    "rating": "helpful",
    "reasons": "reasons",
    "comment": "comment",
    "correction": "output",
    "annotation": "highlight",
}

#: The behaviours an `implicit` feedback can report, as its `name`, and what its score means.
IMPLICIT_NAMES = {
    "copy": "share of the answer that was copied, 0 to 1",
    "accept": "1: the answer was taken over as it was",
    "regenerate": "times the answer was asked for again",
    "edit_distance": "share of tokens changed before use, 0 (accepted) to 1 (rewritten)",
    "abandon": "1: the end user left without an answer",
    "rephrase": "1: the next query asks the same again",
    "dwell": "seconds the answer was in view",
}

#: Score bounds of each rating scale.
SCALES: dict[Scale, tuple[float, float]] = {
    "thumbs": (0.0, 1.0),
    "stars": (1.0, 5.0),
    "unit": (0.0, 1.0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Where an annotation stands: W3C TextQuoteSelector and TextPositionSelector in one.

    Offsets count Unicode code points.
    """

    exact: str
    prefix: str = ""
    suffix: str = ""
    start: int
    end: int
    part: SelectorPart = "output"
    #: Which item of the trace's context stack, from 0, when part is `context`.
    index: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadEntry:
    """One step in the discussion of an annotation; appended, never changed."""

    id: str
    action: ThreadAction
    author: str
    comment: str | None = None
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """One judgement. A later one with the same natural key takes its place; both are kept.

    The natural key is (project, target, kind, name, author, identifier).
    """

    id: str
    kind: Kind
    #: What was judged: a metric's name, or the behaviour of an implicit feedback.
    name: str
    #: Exactly one target: a trace, a span of it (`trace_id` and `span_id`), or a session.
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    #: Ties together what was given in one go.
    submission_id: str | None = None
    source: Source = "end_user"
    #: Pseudonym of who judged; empty when nobody is known.
    author: str = ""
    #: Keeps several judgements of one author apart, such as two highlights.
    identifier: str = ""
    #: How sure the source is, 0 to 1.
    confidence: float = 1.0
    score: float | None = None
    scale: Scale | None = None
    label: str | None = None
    #: Labels of the project's reasons, or tags of an annotation.
    labels: tuple[str, ...] = ()
    comment: str | None = None
    #: What the output, or the selected text, should have been.
    correction: str | None = None
    selector: Selector | None = None
    #: True takes the judgement back; the record and its history stay.
    withdrawn: bool = False
    metadata: Metadata | None = None
    occurred_at: datetime
    received_at: datetime | None = None
    sanitized: bool = False

    @property
    def target_type(self) -> TargetType:
        if self.span_id is not None:
            return "span"
        return "trace" if self.trace_id is not None else "session"

    @property
    def is_negative(self) -> bool:
        """Whether this record says that something was wrong."""
        if self.withdrawn:
            return False
        if self.kind == "rating" and self.score is not None and self.scale is not None:
            low, high = SCALES[self.scale]
            return self.score < (low + high) / 2
        if self.kind == "implicit":
            return self.name in ("regenerate", "abandon", "rephrase") and bool(self.score)
        return self.kind == "correction" or (
            self.kind == "annotation" and self.correction is not None
        )
