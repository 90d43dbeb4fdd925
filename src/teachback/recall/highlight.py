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
    return Highlighter(stems)(text)


class Highlighter:
    """Finds the same words in many texts: each is looked at once."""

    def __init__(self, stems: Sequence[str]) -> None:
        self._known = {stem.casefold() for stem in stems}
        # The stemmer writes company as compani.
        roots = {stem.removesuffix("i") for stem in self._known}
        self._roots = tuple(root for root in roots if len(root) >= SHORTEST)
        self._seen: dict[str, bool] = {}

    def __call__(self, text: str) -> list[tuple[int, int]]:
        """Return (start, end) in code points of the words that are forms of a stem, in order."""
        places: list[tuple[int, int]] = []
        for found in _WORD.finditer(text):
            word = found[0]
            is_form = self._seen.get(word)
            if is_form is None:
                is_form = self._seen[word] = self._is_form(word.casefold())
            if is_form:
                places.append(found.span())
                if len(places) == LIMIT:
                    break
        return places

    def _is_form(self, word: str) -> bool:
        return word in self._known or any(
            word.startswith(root) and len(word) - len(root) <= ENDING for root in self._roots
        )
