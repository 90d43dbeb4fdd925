"""Texts are cut into pieces without losing a character."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from teachback.core.diff import Change, tracked_change
from teachback.server.console.views.anchors import Anchor
from teachback.server.console.views.markup import Piece, mark_up, readable, tracked

TEXT = "Open Settings, then Export."


def test_pieces_overlap_when_annotations_do() -> None:
    """Where two notes lie over each other, the piece names both; markers follow their ends."""
    anchors = [Anchor(note=1, start=5, end=19), Anchor(note=2, start=15, end=26)]
    assert mark_up(TEXT, anchors) == (
        Piece(text="Open "),
        Piece(text="Settings, ", notes=(1,)),
        Piece(text="then", notes=(1, 2), closes=(1,)),
        Piece(text=" Export", notes=(2,), closes=(2,)),
        Piece(text="."),
    )


def test_suggestion_stands_in_place_when_an_annotation_has_one() -> None:
    """The replaced text is deleted under its note; the marker follows the new text."""
    anchor = Anchor(note=1, start=5, end=13, replacement="Reports")
    assert mark_up("Open Settings!", [anchor]) == (
        Piece(text="Open "),
        Piece(text="Settings", change="-", notes=(1,)),
        Piece(text="Reports", change="+", closes=(1,)),
        Piece(text="!"),
    )


def test_correction_alone_is_drawn_when_an_annotation_replaces_the_same_words() -> None:
    """The annotation stays a highlight with its marker; nothing is inserted twice."""
    text = "Refunds take 30 days. Ask us."
    correction: list[Change] = [("=", text[:13]), ("-", "30"), ("+", "21"), ("=", text[15:])]
    same = Anchor(note=1, start=13, end=20, replacement="21 days")
    other = Anchor(note=2, start=22, end=25, replacement="Call")
    assert mark_up(text, [same, other], correction) == (
        Piece(text="Refunds take "),
        Piece(text="30", change="-", notes=(1,)),
        Piece(text="21", change="+"),
        Piece(text=" days", notes=(1,), closes=(1,)),
        Piece(text=". "),
        Piece(text="Ask", change="-", notes=(2,)),
        Piece(text="Call", change="+", closes=(2,)),
        Piece(text=" us."),
    )


def test_correction_alone_is_drawn_when_it_only_adds_next_to_an_annotation() -> None:
    """Words both would add at the end of a passage stand there once."""
    correction: list[Change] = [("=", "30 days"), ("+", " at most"), ("=", ".")]
    same = Anchor(note=1, start=3, end=7, replacement="days at most")
    assert mark_up("30 days.", [same], correction) == (
        Piece(text="30 "),
        Piece(text="days", notes=(1,)),
        Piece(text=" at most", change="+", closes=(1,)),
        Piece(text="."),
    )


def test_edits_become_phrases_when_little_parts_them() -> None:
    """A rewritten sentence is one deletion and one insertion."""
    before = "Exports of any size are free of charge. See"
    after = "Exports above 5,000 lines are sent to you. See"
    assert readable(tracked_change(before, after)) == [
        ("=", "Exports "),
        ("-", "of any size are free of charge"),
        ("+", "above 5,000 lines are sent to you"),
        ("=", ". See"),
    ]


texts = st.text(alphabet="ab \n🎉\u0301", max_size=24)
places = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=4)


@settings(deadline=None)
@given(before=texts, after=texts, spans=places)
def test_text_is_whole_when_it_is_cut_anywhere(
    before: str, after: str, spans: list[tuple[int, int]]
) -> None:
    """Pieces that are not insertions join to the text, whatever lies over it."""
    anchors = [
        Anchor(note=number, start=min(span), end=min(max(span), len(before)))
        for number, span in enumerate(spans, 1)
        if min(span) <= len(before)
    ]
    changes = readable(tracked_change(before, after))
    pieces = mark_up(before, anchors, changes)
    assert "".join(piece.text for piece in pieces if piece.change != "+") == before
    assert "".join(piece.text for piece in pieces if piece.change != "-") == after
    shown = tracked(changes)
    assert "".join(piece.text for piece in shown if piece.change != "-") == after
    assert "".join(piece.text for piece in shown if piece.change != "+") == before
