"""Every kind of feedback reads as a sentence with the right tone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from teachback.model.feedback import IMPLICIT_NAMES, Feedback
from teachback.model.project import DEFAULT_REASONS
from teachback.server.console.views.judgements import feedback_view, reasons_by_label

AT = datetime(2026, 3, 1, tzinfo=UTC)
REASONS = reasons_by_label(DEFAULT_REASONS)


def given(kind: Any, name: str, **fields: Any) -> Feedback:
    return Feedback(id="f", kind=kind, name=name, trace_id="t", occurred_at=AT, **fields)


@pytest.mark.parametrize(
    ("feedback", "headline", "tone"),
    [
        (given("rating", "helpful", score=0, scale="thumbs"), "Not helpful", "negative"),
        (given("rating", "helpful", score=1, scale="thumbs"), "Helpful", "positive"),
        (given("rating", "helpful", score=3, scale="stars"), "3 of 5 stars", "neutral"),
        (given("rating", "grounded", score=0.21, scale="unit"), "Grounded: 0.21 of 1", "negative"),
        (given("reasons", "reasons", labels=("outdated",)), "Gave reasons", "negative"),
        (given("reasons", "reasons", labels=("solved",)), "Gave reasons", "positive"),
        (given("comment", "comment", comment="Hm."), "Commented", "neutral"),
        (given("correction", "output", correction="x"), "Should have said", "negative"),
        (given("implicit", "copy", score=0.8), "Copied 80% of the answer", "positive"),
        (given("implicit", "regenerate", score=2), "Asked for another answer 2 times", "negative"),
        (given("implicit", "dwell", score=75), "Kept the answer in view for 1 min 15 s", "neutral"),
    ],
)
def test_feedback_reads_as_a_sentence_when_shown(
    feedback: Feedback, headline: str, tone: str
) -> None:
    """What was said, and whether it speaks for the answer."""
    view = feedback_view(feedback, REASONS)
    assert (view.headline, view.tone) == (headline, tone)


@pytest.mark.parametrize("name", IMPLICIT_NAMES)
def test_behaviour_has_its_own_sentence_when_known(name: str) -> None:
    """No behaviour falls back to its bare name."""
    assert not feedback_view(given("implicit", name, score=1), {}).headline.startswith(name)


def test_reason_is_named_as_the_project_names_it() -> None:
    """A listed reason has its title; an unknown one keeps its own word."""
    view = feedback_view(given("reasons", "reasons", labels=("outdated", "gone")), REASONS)
    assert [label.title for label in view.labels] == ["Out of date", "gone"]


def test_withdrawn_feedback_is_neutral() -> None:
    """What was taken back no longer speaks against the answer."""
    taken_back = given("rating", "helpful", score=0, scale="thumbs", withdrawn=True)
    assert feedback_view(taken_back, REASONS).tone == "neutral"
