"""A tracked change gives both texts back, exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teachback.core.diff import MAX_TOKENS, apply, tracked_change

words = st.lists(st.sampled_from(["a", "the", " ", "\n", "é", "👩‍👩‍👧", "ا", ".", "12"])).map(
    "".join
)
texts = st.text() | words


@given(texts, texts)
def test_change_gives_both_texts_back(before: str, after: str) -> None:
    """Without deletions it is the new text, without insertions the old one."""
    changes = tracked_change(before, after)
    assert apply(changes) == after
    assert "".join(text for op, text in changes if op != "+") == before


@given(texts)
def test_equal_texts_have_no_change(text: str) -> None:
    """Nothing is deleted or inserted where nothing changed."""
    assert tracked_change(text, text) == ([("=", text)] if text else [])


def test_change_is_of_words() -> None:
    """People edit words, so words are what is shown."""
    assert tracked_change("It costs 10 euro.", "It costs 12 euro.") == [
        ("=", "It costs "),
        ("-", "10"),
        ("+", "12"),
        ("=", " euro."),
    ]


def test_huge_texts_are_still_compared() -> None:
    """Beyond the limit the common ends are kept and the middle is replaced."""
    middle = "x y " * MAX_TOKENS
    changes = tracked_change("start " + middle + "end", "start " + middle[::-1] + "end")
    assert apply(changes) == "start " + middle[::-1] + "end"
    assert changes[0] == ("=", "start")
