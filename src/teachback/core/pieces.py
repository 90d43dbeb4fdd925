"""How much of a query's wording stands in what is remembered: BM25 over pieces of words.

Pieces of four letters need no stemmer and no language: `refund` and `refunding` share three of
theirs, and a slip of the pen costs some of a word, not all of it. On short questions they find
more than whole words, stemmed or not: docs/decisions/recall-scores.md.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

#: Letters of a piece; a shorter word, with a mark at both its ends, is one piece.
SIZE = 4
#: Code points of a text that are read: as many as are embedded.
READ = 8_000
#: BM25's usual constants: saturation of repeated pieces, and weight of the length.
K1, B = 1.2, 0.75

_WORD = re.compile(r"\w+")
#: What is quoted is what a question is about, not what it asks.
_QUOTED = re.compile(
    r"<[^<>\n]{1,200}>|\"[^\"\n]{1,200}\"|“[^“”\n]{1,200}”|«[^«»\n]{1,200}»|`[^`\n]{1,200}`"
)
#: Words that have to be left for a text to be known by them.
LEFT = 3


def masked(text: str) -> str:
    """Return a text without what it quotes, or the text itself where little else is said."""
    left = _QUOTED.sub(" ", text[:READ])
    return left if len(_WORD.findall(left)) >= LEFT else text


def pieces(text: str) -> Iterator[str]:
    """Yield the pieces of a text without what it quotes, in order and with repetitions."""
    for word in _WORD.findall(masked(text).casefold()):
        marked = f"_{word}_"
        for start in range(max(1, len(marked) - SIZE + 1)):
            yield marked[start : start + SIZE]


class Pieces:
    """An index of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [Counter(pieces(text)) for text in texts]
        lengths = np.array([sum(one.values()) for one in counted], np.float64)
        self._norms = K1 * (1 - B + B * lengths / max(1.0, lengths.mean() if texts else 1.0))
        self._texts = len(texts)
        places: defaultdict[str, list[int]] = defaultdict(list)
        often: defaultdict[str, list[int]] = defaultdict(list)
        for at, one in enumerate(counted):
            for piece, times in one.items():
                places[piece].append(at)
                often[piece].append(times)
        self._unknown = self._rarity(0)
        self._held = {
            piece: self._posting(np.array(found), np.array(often[piece], np.float64))
            for piece, found in places.items()
        }

    def shares(self, text: str) -> NDArray[np.float32]:
        """Return of what the query is made that each text holds, of shape (texts,).

        BM25 over the weight of the query's pieces: about 1 for the same words, and comparable
        between queries. Pieces that nobody remembers count as the rarest.
        """
        found = np.zeros(self._texts, np.float64)
        most = 0.0
        for piece in set(pieces(text)):
            posting = self._held.get(piece)
            if posting is None:
                most += self._unknown
            else:
                places, weights, rarity = posting
                found[places] += weights
                most += rarity
        return (found / max(most, 1e-9)).astype(np.float32)

    def _posting(
        self, found: NDArray[np.int64], often: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
        """Return the texts that hold a piece, its weight in each, and its rarity."""
        rarity = self._rarity(len(found))
        return found, rarity * often * (K1 + 1) / (often + self._norms[found]), rarity

    def _rarity(self, holders: int) -> float:
        return math.log1p((self._texts - holders + 0.5) / (holders + 0.5))
