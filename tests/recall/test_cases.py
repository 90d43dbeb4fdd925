"""A case says what went wrong, what fixed it, and how far that can be relied on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from teachback.model.case import Replacement
from teachback.model.feedback import Feedback, Selector
from teachback.recall.cases import case_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def said(who: str, minutes: int = 0, **values: Any) -> Feedback:
    given: dict[str, Any] = {"id": who, "name": "x", "trace_id": "t", "author": who}
    return Feedback(**(given | {"occurred_at": NOW + timedelta(minutes=minutes)} | values))


THUMB: dict[str, Any] = {"kind": "rating", "score": 0, "scale": "thumbs"}


def test_everything_that_was_said_is_in_the_case() -> None:
    """Reasons once, complaints in order, the latest correction, replacements by their passage."""
    passage = Selector(exact="30 days", start=0, end=7)
    case = case_of(
        "t", "When is a refund paid?",
        [
            said("late", 9, kind="correction", correction="Within 14 days."),
            said("early", 1, kind="correction", correction="Soon."),
            said("a", **THUMB, labels=("wrong_fact",)),
            said("b", 2, kind="reasons", labels=("wrong_fact", "too_vague"), comment="No!"),
            said("c", 3, kind="annotation", selector=passage, correction="14 days"),
            said("d", 4, kind="comment", comment="It is not true."),
            said("e", 5, kind="comment", comment="Taken back.", withdrawn=True),
        ],
        {"late": {"l2"}, "a": {"l1", "l2"}},
    )  # fmt: skip
    assert case.reasons == ("wrong_fact", "too_vague")
    assert case.complaints == ("No!", "It is not true.")
    assert case.correction == "Within 14 days."
    assert case.replacements == (Replacement(exact="30 days", correction="14 days"),)
    assert case.lessons == ("l1", "l2")
    assert not case.verified
    assert case.voices == 4


@pytest.mark.parametrize(
    ("words", "strength", "voices"),
    [
        ([said("a", **THUMB)], 0.6, 1),
        ([said("a", **THUMB), said("b", **THUMB)], 0.84, 2),
        # One voice counts once, however often it speaks; nobody known is one voice.
        ([said("a", **THUMB), said("a2", author="a", kind="correction", correction="x")], 0.6, 1),
        ([said("a", author="", **THUMB), said("b", author="", **THUMB)], 0.6, 1),
        ([said("a", kind="implicit", name="regenerate", score=1, source="detector")], 0.15, 1),
        ([said("a", source="reviewer", **THUMB)], 0.9, 1),
        ([said("a", kind="rating", score=1, scale="thumbs")], 0.0, 0),
    ],
)
def test_evidence_is_as_strong_as_its_different_voices(
    words: list[Feedback], strength: float, voices: int
) -> None:
    """No single account makes a case strong."""
    case = case_of("t", "q", words, {})
    assert case.strength == pytest.approx(strength)
    assert case.voices == voices


def test_a_correction_is_verified_by_a_reviewer() -> None:
    """The one that is shown, not an earlier one."""
    words = [said("u", 1, kind="correction", correction="a")]
    reviewed = said("r", 2, kind="correction", correction="b", source="reviewer")
    assert not case_of("t", "q", words, {}).verified
    assert case_of("t", "q", [*words, reviewed], {}).verified
    later = said("v", 3, kind="correction", correction="c")
    assert not case_of("t", "q", [*words, reviewed, later], {}).verified
