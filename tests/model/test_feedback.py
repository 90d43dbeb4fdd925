"""What a judgement says follows from its kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from teachback.model.feedback import Feedback, Selector

AT = datetime(2026, 3, 1, tzinfo=UTC)
SELECTOR = Selector(exact="a", start=0, end=1)


def feedback(**fields: Any) -> Feedback:
    given: dict[str, Any] = {"id": "f", "kind": "rating", "name": "n", "occurred_at": AT}
    return Feedback(**given | fields)


@pytest.mark.parametrize(
    ("fields", "negative"),
    [
        ({"score": 0.0, "scale": "thumbs"}, True),
        ({"score": 1.0, "scale": "thumbs"}, False),
        ({"score": 2.0, "scale": "stars"}, True),
        ({"score": 3.0, "scale": "stars"}, False),
        ({"score": 0.49, "scale": "unit"}, True),
        ({"score": 0.5, "scale": "unit"}, False),
        ({"score": 0.0, "scale": "thumbs", "withdrawn": True}, False),
        ({"kind": "comment", "comment": "bad"}, False),
        ({"kind": "correction", "correction": "x"}, True),
        ({"kind": "annotation", "selector": SELECTOR, "comment": "?"}, False),
        ({"kind": "annotation", "selector": SELECTOR, "correction": ""}, True),
        ({"kind": "implicit", "name": "regenerate", "score": 2.0}, True),
        ({"kind": "implicit", "name": "regenerate", "score": 0.0}, False),
        ({"kind": "implicit", "name": "copy", "score": 1.0}, False),
        ({"kind": "implicit", "name": "abandon", "score": None}, False),
    ],
)
def test_judgement_is_negative_when_it_says_that_something_was_wrong(
    fields: dict[str, Any], *, negative: bool
) -> None:
    """Below the middle of its scale, a correction, bad behaviour; never when withdrawn."""
    assert feedback(**fields).is_negative is negative


@pytest.mark.parametrize(
    ("fields", "target"),
    [({"trace_id": "t"}, "trace"), ({"trace_id": "t", "span_id": "s"}, "span"),
     ({"session_id": "s"}, "session")],
)  # fmt: skip
def test_target_is_named_by_the_ids_that_are_there(fields: dict[str, str], target: str) -> None:
    """A span is more than its trace."""
    assert feedback(**fields).target_type == target
