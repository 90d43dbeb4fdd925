"""Annotations find their text again, by the quote first."""

from __future__ import annotations

import pytest

from teachback.model.feedback import Selector
from teachback.server.console.views.anchors import find


def selector(exact: str, start: int, prefix: str = "", suffix: str = "") -> Selector:
    return Selector(exact=exact, start=start, end=start + len(exact), prefix=prefix, suffix=suffix)


def test_place_is_kept_when_the_quote_stands_there() -> None:
    """The position holds where the quote agrees, even if the quote stands elsewhere too."""
    assert find("no, no, no", selector("no", 4)) == (4, 6)


def test_place_is_counted_in_code_points_when_there_are_emoji_and_accents() -> None:
    """An emoji is one, a letter with a combining accent is two."""
    text = "🎉 cafe\u0301 au lait"
    assert find(text, selector("au", 8)) == (8, 10)
    assert text[8:10] == "au"


@pytest.mark.parametrize(
    ("suffix", "place"), [(" mat", (8, 11)), (" hat", (20, 23)), ("", (20, 23))]
)
def test_surroundings_choose_when_the_quote_moved_and_stands_twice(
    suffix: str, place: tuple[int, int]
) -> None:
    """What follows the quote decides; without it, the nearer place does."""
    text = "Put the cat mat and the cat hat"
    assert find(text.replace("cat", "dog"), selector("dog", 17, suffix=suffix)) == (
        (place[0], place[1]) if suffix == " mat" else (24, 27)
    )


def test_nothing_is_found_when_the_quote_is_gone_or_empty() -> None:
    """A quote that is not in the text has no place."""
    assert find("Open Reports", selector("Settings", 5)) is None
    assert find("Open Reports", selector("", 5)) is None


def test_search_ends_when_the_quote_is_everywhere() -> None:
    """A letter that fills a long text is looked at a bounded number of times."""
    assert find("a" * 200_000, selector("a", 300_000)) is not None
