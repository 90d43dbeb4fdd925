"""Lines of the lists say the most important thing first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from teachback.model.project import Key
from teachback.model.trace import Trace
from teachback.server.console.views.lists import (
    Neighbours,
    feedback_rows,
    key_row,
    neighbours,
    turn_views,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)


def stored(kind: str, **fields: Any) -> dict[str, Any]:
    """A row as the store returns it."""
    empty = dict.fromkeys(
        ("span_id", "session_id", "submission_id", "score", "scale", "label", "labels", "comment",
         "correction", "selector", "metadata")
    )  # fmt: skip
    return empty | {
        "id": "f", "trace_id": "t", "kind": kind, "name": kind, "source": "end_user",
        "author": "u", "identifier": "", "confidence": 1.0, "withdrawn": False, "occurred_at": AT,
        "received_at": AT, "sanitized": False, "negative": False, "matched": True,
    } | fields  # fmt: skip


def test_neighbours_share_a_line_when_one_author_judged_one_answer() -> None:
    """Words come before behaviour; what speaks against the answer sets the mark."""
    rows = feedback_rows(
        [
            stored("implicit", name="dwell", score=4),
            stored("rating", name="helpful", score=0, scale="thumbs", negative=True),
            stored("comment", comment="No.", author="v"),
            stored("comment", comment="Hm."),
        ],
        {},
        {},
        {},
    )
    assert [[view.kind for view in row.views] for row in rows] == [
        ["rating", "implicit"],
        ["comment"],
        ["comment"],
    ]
    assert (rows[0].icon, rows[0].tone) == ("thumb-down", "negative")


def test_feedback_leads_nowhere_until_its_trace_arrives() -> None:
    """A line without a trail says what it waits for."""
    (row,) = feedback_rows([stored("comment", comment="?", matched=False)], {}, {}, {})
    assert (row.href, row.waiting, row.target) == (None, True, "t")


def test_ids_are_encoded_when_they_lead_somewhere() -> None:
    """An id may be any text; its page's address never leaves its folder."""
    (row,) = feedback_rows([stored("comment", comment="?", trace_id="a/../b?c#d")], {}, {}, {})
    assert row.href == "/traces/a%2F..%2Fb%3Fc%23d"


def test_turn_knows_its_neighbours_in_the_session() -> None:
    """The first has no turn before it, the last none after."""
    turns = ["a", "b", "c"]
    assert neighbours("a", turns) == Neighbours(number=1, of=3, next="/traces/b")
    assert neighbours("b", turns).previous == "/traces/a"
    assert neighbours("c", turns).next is None
    assert neighbours("z", turns) == Neighbours()


def test_turn_shows_why_there_is_no_output() -> None:
    """A failed turn keeps its error."""
    (turn,) = turn_views([Trace(id="a", query="?", started_at=AT, error="timeout")], [], {})
    assert (turn.output, turn.formatted, turn.error) == (None, None, "timeout")


def test_key_is_known_by_its_beginning() -> None:
    """The list shows the public part of a key and its kind."""
    key = Key(id="ab12", project_id="p", kind="public", name="page", created_at=AT)
    assert key_row(key).begins == "tb_pk_ab12"
