"""Feedback in its six kinds, as the server gets it."""

from __future__ import annotations

from datetime import UTC, datetime

from sdk.conftest import KEY
from sdk.stub import Stub
from teachback import Client
from teachback.core import tokens


def test_six_kinds_arrive_together_when_chained(tb: Client, stub: Stub) -> None:
    """One group says everything about one answer; its parts share a submission."""
    group = tb.feedback("t-1", author="u-7", metadata={"page": "help"})
    group.thumbs_down().reasons(["outdated", "too_vague"]).comment("The menu has moved.")
    group.correct("Open Reports.").implicit("copy", 0.4)
    group.annotate("menu", start=4, replacement="tab", comment="moved", tags=["fact"])
    tb.flush()
    given = stub.feedback()
    assert {kind: record["name"] for kind, record in given.items()} == {
        "rating": "helpful",
        "reasons": "reasons",
        "comment": "comment",
        "correction": "output",
        "implicit": "copy",
        "annotation": "highlight",
    }
    assert len({record["submission_id"] for record in given.values()}) == 1
    assert len({record["id"] for record in given.values()}) == 6
    assert {record["author"] for record in given.values()} == {"u-7"}
    assert {record["trace_id"] for record in given.values()} == {"t-1"}
    assert given["rating"]["metadata"] == {"page": "help"}
    assert (given["rating"]["score"], given["rating"]["scale"]) == (0.0, "thumbs")
    assert given["reasons"]["labels"] == ["outdated", "too_vague"]
    assert given["comment"]["comment"] == "The menu has moved."
    assert given["correction"]["correction"] == "Open Reports."
    assert given["implicit"]["score"] == 0.4
    assert given["annotation"]["selector"] == {
        "exact": "menu", "start": 4, "end": 8, "part": "output", "prefix": "", "suffix": "",
    }  # fmt: skip
    assert given["annotation"]["correction"] == "tab"
    assert given["annotation"]["labels"] == ["fact"]


def test_ratings_know_their_scale_when_given(tb: Client, stub: Stub) -> None:
    """Thumbs, stars and shares are told apart, and a rating may judge a named quality."""
    group = tb.feedback("t-1")
    group.thumbs_up(comment="thanks").rating(4).rating(0.7, scale="unit", name="tone")
    tb.flush()
    assert [(r["score"], r["scale"], r["name"]) for r in stub.records("feedback")] == [
        (1.0, "thumbs", "helpful"),
        (4.0, "stars", "helpful"),
        (0.7, "unit", "tone"),
    ]


def test_feedback_finds_its_target_when_it_is_no_trace(tb: Client, stub: Stub) -> None:
    """Spans and sessions can be judged as well."""
    tb.feedback("t-1", span_id="sp-1", source="evaluator", confidence=0.8).rating(5)
    tb.feedback(session_id="s-1").comment("Took too long.")
    tb.flush()
    on_span, on_session = stub.records("feedback")
    assert (on_span["trace_id"], on_span["span_id"]) == ("t-1", "sp-1")
    assert (on_span["source"], on_span["confidence"]) == ("evaluator", 0.8)
    assert on_session["session_id"] == "s-1"
    assert "trace_id" not in on_session


def test_withdrawal_names_the_judgement_when_taken_back(tb: Client, stub: Stub) -> None:
    """A highlight with an identifier of its own can be taken back by it."""
    group = tb.feedback("t-1", author="u-7")
    group.annotate("menu", start=4, identifier="h-1")
    group.withdraw("annotation", identifier="h-1")
    tb.flush()
    given, withdrawn = stub.records("feedback")
    key = ("trace_id", "kind", "name", "author", "identifier")
    assert [given[name] for name in key] == [withdrawn[name] for name in key]
    assert withdrawn["withdrawn"] is True


def test_two_highlights_stay_apart_when_not_named(tb: Client, stub: Stub) -> None:
    """Each highlight is a judgement of its own, not a change of the one before."""
    tb.feedback("t-1").annotate("a", start=0).annotate("b", start=2)
    tb.flush()
    assert len({record["identifier"] for record in stub.records("feedback")}) == 2


def test_feedback_keeps_its_time_when_given_later(tb: Client, stub: Stub) -> None:
    """A judgement collected elsewhere keeps the time at which it was made."""
    tb.feedback("t-1", occurred_at=datetime(2025, 3, 1, tzinfo=UTC)).thumbs_up()
    tb.flush()
    assert stub.records("feedback")[0]["occurred_at"] == "2025-03-01T00:00:00Z"


def test_token_can_be_checked_when_signed(tb: Client) -> None:
    """A token for the browser is signed without asking the server."""
    token = tb.feedback_token("t-1", user_id="u-7", lifetime_s=60)
    checked = tokens.verify(token, tokens.signing_key(KEY))
    assert (checked.key_id, checked.trace_id, checked.user_id) == ("k1", "t-1", "u-7")
