"""What people said is never repeated in a message: messages end up in logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from teachback.capture.native import decode_feedback, decode_trace
from teachback.errors import Invalid

SAID = "My name is Charlie and my salary is too low. " * 8
NOW = datetime(2026, 3, 1, tzinfo=UTC)
RATING = {"kind": "rating", "trace_id": "t", "score": 1, "scale": "thumbs"}


@pytest.mark.parametrize(
    "fields",
    [
        {"query": [SAID]},
        {"query": SAID, "output": {"text": SAID}},
        {"query": SAID, "id": SAID},
        {"query": SAID, "user_id": SAID},
        {"query": SAID, "tags": [SAID]},
        {"query": SAID, "environment": SAID},
        {"query": SAID, "started_at": SAID},
        {"query": SAID, "metadata": SAID},
        {"query": SAID, "metadata": [SAID]},
        {"query": SAID, "context": [{"kind": "message", "content": [SAID]}]},
        {"query": SAID, "context": [{"kind": SAID}]},
        {"query": SAID, "context": [{"kind": "message", "content_hash": SAID}]},
        {"query": SAID, "spans": [{"id": "a", "name": "b", "error": 1, "input": SAID}]},
        {"query": SAID, "session_id": "é" * 200},
    ],
)
def test_refused_trace_is_not_quoted(fields: dict[str, Any]) -> None:
    """Whichever field is wrong."""
    with pytest.raises(Invalid) as refused:
        decode_trace(json.dumps(fields).encode(), now=NOW)
    _assert_silent(refused.value)


@pytest.mark.parametrize(
    "fields",
    [{"comment": [SAID]}, {"label": SAID}, {"labels": [SAID]}, {"labels": SAID}, {"kind": SAID},
     {"correction": {"x": SAID}}, {"selector": {"exact": SAID}}, {"author": SAID}, {"name": SAID},
     {"metadata": SAID}, {"score": SAID}, {"identifier": SAID}, {"withdrawn": SAID}],
)  # fmt: skip
def test_refused_feedback_is_not_quoted(fields: dict[str, Any]) -> None:
    """Whichever field is wrong."""
    with pytest.raises(Invalid) as refused:
        decode_feedback(json.dumps(RATING | fields).encode(), now=NOW)
    _assert_silent(refused.value)


def test_repeated_key_is_not_quoted_when_it_is_long() -> None:
    """People use texts as keys of their metadata."""
    body = '{"query": "q", "metadata": {"%s": 1, "%s": 2}}' % (SAID, SAID)  # noqa: UP031 - braces
    with pytest.raises(Invalid) as refused:
        decode_trace(body.encode(), now=NOW)
    _assert_silent(refused.value)


def test_short_words_are_quoted() -> None:
    """Without the value nobody finds the mistake."""
    with pytest.raises(Invalid) as refused:
        decode_feedback(json.dumps(RATING | {"scale": "thumb"}).encode(), now=NOW)
    assert (refused.value.field, refused.value.value) == ("scale", "'thumb'")


def _assert_silent(error: Invalid) -> None:
    told = f"{error.message} {error.field} {error.value} {error.rule} {error.fix}"
    assert "Charlie" not in told
    assert "éé" not in told
    assert "\\xe9\\xe9" not in told
