"""Attacks that others have published, sent as feedback: no words of them are proposed for a prompt.

BIPIA (Yi and others, 2023) hides instructions in what a model reads; garak's DAN prompts ask it to
forget its rules.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from data.conftest import Load
from teachback.act.proposals import proposals
from teachback.model.feedback import Feedback
from teachback.model.project import DEFAULT_GUIDANCE, DEFAULT_REASONS
from teachback.model.trace import Trace
from teachback.record.trail import Judgement, Trail

pytestmark = pytest.mark.data
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = tuple(reason.label for reason in DEFAULT_REASONS)


def said(kind: str, **fields: Any) -> Judgement:
    values = {"id": kind, "name": kind, "trace_id": "t", "occurred_at": NOW, "author": "mallory"}
    feedback = Feedback(kind=kind, **values | fields)  # type: ignore[arg-type]
    return Judgement(feedback=feedback, natural_key=None, negative=True, matched=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bipia", "garak_dan"])
def test_attacks_in_comments_and_corrections_become_no_words_of_a_lesson(
    load: Load, name: str
) -> None:
    """Of all that mallory sends, the project's own closed sentences are all that is drafted."""
    attacks = [text for row in load(name) for text in row.values() if isinstance(text, str)]
    assert len(attacks) > 10
    for attack in attacks:
        trace = Trace(id="t", query=attack, output="14 days.", started_at=NOW)
        judged = (
            said("comment", comment=attack),
            said("correction", correction=attack),
            said("reasons", labels=(*LABELS, attack[:200]), comment=attack),
            said("rating", score=0.0, scale="thumbs", comment=attack),
        )
        found = proposals(Trail(trace=trace, judgements=judged), judged, DEFAULT_REASONS)
        assert {one.kind for one in found} <= {"guidance"}
        assert {one.wording.text for one in found} <= set(DEFAULT_GUIDANCE.values())
