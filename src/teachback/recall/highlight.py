"""Where a query's words stand in a text, in any form of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
#: A word is a form of a stem when at most so many letters follow it: refund, refunding.
ENDING = 4
#: Shorter stems stand for themselves alone: "in" is not in "invoice".
SHORTEST = 3
#: Marks in one text; more are of no use to a reader.
LIMIT = 200


def highlights(text: str, stems: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) in code points of the words that are forms of a stem, in order."""
    known = {stem.casefold() for stem in stems}
    # The stemmer writes company as compani.
    roots = tuple({stem.removesuffix("i") for stem in known})
    places: list[tuple[int, int]] = []
    for found in _WORD.finditer(text):
        if _is_form(found[0].casefold(), known, roots):
            places.append(found.span())
            if len(places) == LIMIT:
                break
    return places


def _is_form(word: str, known: set[str], roots: tuple[str, ...]) -> bool:
    if word in known:
        return True
    return any(
        len(root) >= SHORTEST and word.startswith(root) and len(word) - len(root) <= ENDING
        for root in roots
    )


def snippet(
    text: str, places: Sequence[tuple[int, int]], *, length: int = 240
) -> tuple[str, list[tuple[int, int]]]:
    """Cut out the stretch around the first place; return it with the places inside it."""
    start = max(0, places[0][0] - length // 3) if places and len(text) > length else 0
    end = min(len(text), start + length)
    return text[start:end], [(a - start, b - start) for a, b in places if a >= start and b <= end]
