"""Finding text by words: stems, BM25 and a forgiving eye for typing errors, in plain Python."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

#: BM25's usual constants: how fast repeated words saturate, how much length counts.
K1, B = 1.2, 0.6

#: Words that say nothing about the subject, chatter of help pages included.
STOP_WORDS = frozenset(
    """
    a about after again all also am an and any are as asking at away be because been before being
    but by can cannot come could did do does don down each else even every for friend from get go
    going good got great had has have hello help her here hey hi how i if in into is it its just
    know let like long look looking lot make maybe me mean meant morning much my myself need new no
    not now of off ok on once one only or other our out over own please put question quick really
    right run said say see set should simple small so some sorry still such sure take tell than
    thank thanks that the their them then there these they thing this those time to today together
    too try two under up us use very want was way we well were what when where whether which while
    who whose why will with without would yes you your yours
    ab aber als am an auch auf aus bei bin bis bitte da danke das dass dem den der des die dies
    doch ein eine einem einen einer eines er es für gilt guten hallo hat habe haben hoch ich ihr
    ihre im in ist ja kann kein keine lange man mein meine mit nach noch nur oder sich sie sind so
    über um und uns unter vom von wann war was welche wenn wer werden wie wieder wir wird wo zu zum
    zur
    """.split()
)

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+")
_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
_SUFFIXES = ("ations", "ation", "ings", "ing", "ies", "ied", "es", "ed", "en", "s", "e", "y")


@cache
def stem(word: str) -> str:
    """Cut the ending off a lower-case word, leaving at least three letters."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def terms(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    words = _WORD.findall(text.casefold())
    return [stem(word) for word in words if word not in STOP_WORDS]


def questions_in(text: str) -> list[str]:
    """Return the sentences of a message that ask something; all of them when none says so."""
    sentences = [each for each in _SENTENCE_END.split(text) if terms(each)]
    return [each for each in sentences if each.endswith("?")] or sentences or [text]


class Index:
    """BM25 over a fixed list of texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts = [Counter(terms(text)) for text in texts]
        self._lengths = [sum(count.values()) for count in counts]
        self._mean = sum(self._lengths) / len(counts) if counts else 0.0
        self._postings: dict[str, dict[int, int]] = defaultdict(dict)
        for number, count in enumerate(counts):
            for term, frequency in count.items():
                self._postings[term][number] = frequency
        self._spelled: dict[str, str] = {}

    def weights(self, query: str, *, also: str = "", share: float = 0.4) -> dict[str, float]:
        """Weigh the query's terms by rarity; terms of `also` count by `share`."""
        weights = {self.spell(term): 0.0 for term in terms(query)}
        weights = {term: self._rarity(term) for term in weights}
        for term in map(self.spell, terms(also)):
            if term in self._postings:
                weights.setdefault(term, share * self._rarity(term))
        return weights

    def scores(self, weights: Mapping[str, float]) -> dict[int, float]:
        """Return the BM25 score of every text that shares a term, by its number."""
        scores: dict[int, float] = defaultdict(float)
        for term, weight in weights.items():
            for number, frequency in self._postings.get(term, {}).items():
                length = 1 - B + B * self._lengths[number] / self._mean
                scores[number] += weight * frequency * (K1 + 1) / (frequency + K1 * length)
        return scores

    def coverage(self, number: int, weights: Mapping[str, float]) -> float:
        """Return the share of the query's weight that a text has words for, 0 to 1."""
        total = sum(weights.values())
        found = sum(weight for term, weight in weights.items() if self._has(term, number))
        return found / total if total else 0.0

    def spell(self, term: str) -> str:
        """Return the indexed term that an unknown one was probably meant to be, or itself."""
        if term in self._postings or len(term) < 4:
            return term
        if term not in self._spelled:
            self._spelled[term] = _closest(term, list(self._postings))
        return self._spelled[term]

    def _has(self, term: str, number: int) -> bool:
        return number in self._postings.get(term, ())

    def _rarity(self, term: str) -> float:
        containing = len(self._postings.get(term, ()))
        return math.log(1 + (len(self._lengths) - containing + 0.5) / (containing + 0.5))


def _closest(term: str, known: Sequence[str]) -> str:
    near = [word for word in known if word[0] == term[0] and abs(len(word) - len(term)) <= 1]
    return next(iter(difflib.get_close_matches(term, near, n=1, cutoff=0.8)), term)
