"""Find again the text that an annotation was made on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from teachback.model.feedback import Selector

#: Places of a repeated quote that are compared; a one-letter quote in a long text has too many.
MAX_PLACES = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """Where a numbered note stands in a text, in code points."""

    #: The note's number on the page.
    note: int
    start: int
    end: int
    #: What the annotation would put in place of the text.
    replacement: str | None = None


def find(text: str, selector: Selector) -> tuple[int, int] | None:
    """Return start and end of the selected text, or None when the quote is no longer there.

    The quote decides; where it stands more than once, its surroundings do, then the position.
    """
    if not selector.exact:
        return None
    if text.startswith(selector.exact, selector.start):
        return selector.start, selector.start + len(selector.exact)
    places = list(_places(text, selector.exact))
    if not places:
        return None
    best = min(places, key=lambda at: (-_agreement(text, at, selector), abs(at - selector.start)))
    return best, best + len(selector.exact)


def _places(text: str, quote: str) -> Iterator[int]:
    at = text.find(quote)
    for _ in range(MAX_PLACES):
        if at < 0:
            return
        yield at
        at = text.find(quote, at + 1)


def _agreement(text: str, at: int, selector: Selector) -> int:
    """Count the characters around a place that agree with the selector's prefix and suffix."""
    end = at + len(selector.exact)
    before = text[max(0, at - len(selector.prefix)) : at]
    after = text[end : end + len(selector.suffix)]
    return _common(before[::-1], selector.prefix[::-1]) + _common(after, selector.suffix)


def _common(one: str, other: str) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))
