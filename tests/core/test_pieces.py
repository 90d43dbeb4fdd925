"""Common wording is found in any form of the words, and never in what is quoted."""

from __future__ import annotations

import pytest

from teachback.core.pieces import Pieces, masked, pieces

TEXTS = ["How do I get a refund?", "Where is my parcel now?", "Change my address, please"]


def test_the_same_words_are_about_all_there_is() -> None:
    """Whatever their order, case and marks."""
    shares = Pieces(TEXTS).shares("a refund, how do i GET")
    assert shares.argmax() == 0
    assert shares[0] > 0.9
    assert shares[1:].max() < 0.2


@pytest.mark.parametrize("query", ["refunding", "a refnud... refund it", "REFUNDS"])
def test_other_forms_of_a_word_are_found(query: str) -> None:
    """Without a stemmer, and with slips of the pen."""
    assert Pieces(TEXTS).shares(query).argmax() == 0


def test_words_that_nobody_remembers_lower_the_share() -> None:
    """One common word is little of a long query."""
    index = Pieces(TEXTS)
    assert index.shares("refund")[0] > 2 * index.shares("refund of a mortgage in Zanzibar")[0]


def test_what_is_quoted_is_not_what_is_asked() -> None:
    """Two questions on other words are the same question."""
    assert list(pieces('What does "ship" mean here?')) == list(
        pieces("What does <boat> mean here?")
    )
    assert masked('"refund" "parcel"') == '"refund" "parcel"'


def test_nothing_is_shared_with_nothing() -> None:
    """Neither an empty query nor an empty index is a fault."""
    assert Pieces(TEXTS).shares("?!").tolist() == [0, 0, 0]
    assert Pieces([]).shares("refund").shape == (0,)
    assert Pieces(["", "…"]).shares("refund").tolist() == [0, 0]
