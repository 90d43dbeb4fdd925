"""The lessons nearest to a query, from memory: exact, on one thread, within a millisecond."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teachback.core.choose import SAME, Match, fingerprint, in_scope, same_words
from teachback.model.lesson import Lesson
from teachback.model.recall import Ask

#: Matches that are looked at closely; far more than can be given.
CANDIDATES = 50
#: Numbers in one block of vectors. OpenBLAS shares larger products among threads that wait by
#: turning in circles: measured on two busy cores, 18 ms instead of one.
BLOCK = 9_000
#: Answers about scopes that are kept: requests of one application differ in few ways.
MASKS = 256

Vectors = NDArray[np.float32]
Places = NDArray[np.intp]


class Nearest:
    """Lessons with the vectors of their situations; never changed once made."""

    def __init__(self, lessons: Sequence[Lesson], vectors: Vectors) -> None:
        """Take a unit vector for each lesson, or zeros where there is none yet.

        Of lessons that are equally near, those that stand first in the sequence are preferred.
        """
        self.lessons = tuple(lessons)
        self._size, self._dimensions = vectors.shape
        self._blocks = _in_blocks(vectors)
        self._places = {lesson.id: at for at, lesson in enumerate(self.lessons)}
        self._by_text: dict[str, list[int]] = {}
        for at, lesson in enumerate(self.lessons):
            self._by_text.setdefault(fingerprint(lesson.situation), []).append(at)
        self._scopes, self._scope_of = _distinct_scopes(self.lessons)
        self._masks: OrderedDict[tuple[Any, ...], Places | None] = OrderedDict()

    def matches(self, ask: Ask, vector: Vectors | None, *, everywhere: bool = False) -> list[Match]:
        """Return the nearest lessons in scope, or from everywhere; those equal word for word first.

        Without a vector only the latter.
        """
        if not self.lessons:
            return []
        outside = None if everywhere else self._outside(ask)
        equal = self._by_text.get(fingerprint(ask.query), [])
        if outside is not None and equal:
            gone = set(outside.tolist())
            equal = [at for at in equal if at not in gone]
        found = [(at, 1.0, True) for at in equal[:CANDIDATES]]
        if vector is not None:
            known = set(equal)
            near = self._nearest(vector, outside)
            found += [(at, score, False) for at, score in near if at not in known]
        return [
            Match(lesson=self.lessons[at], score=score, exact=exact, rank=rank)
            for rank, (at, score, exact) in enumerate(found[:CANDIDATES], 1)
        ]

    def alike(self, one: Lesson, other: Lesson) -> bool:
        """Tell whether two of these lessons are of one kind and for one situation."""
        if one.kind != other.kind:
            return False
        cosine = float(self._vector(one) @ self._vector(other))
        return cosine >= SAME or same_words(one, other)

    def _vector(self, lesson: Lesson) -> Vectors:
        at, width = self._places[lesson.id], self._blocks.shape[2]
        return np.asarray(self._blocks[at // width, :, at % width])

    def _nearest(self, vector: Vectors, outside: Places | None) -> list[tuple[int, float]]:
        """Return the places of the nearest lessons with their cosines, above nought."""
        if len(vector) != self._dimensions:
            return []
        scores = np.matmul(vector, self._blocks).reshape(-1)[: self._size]
        if outside is not None:
            scores[outside] = -2
        wanted = min(CANDIDATES, self._size)
        places = np.argpartition(scores, self._size - wanted)[self._size - wanted :]
        least = scores[places].min()
        # Of equal ones at the end, those that stand first among the lessons.
        better = np.flatnonzero(scores > least)
        equal = np.flatnonzero(scores == least)[: wanted - len(better)]
        places = np.concatenate([better, equal])
        pairs = zip(places.tolist(), scores[places].tolist(), strict=True)
        ordered = sorted((-score, at) for at, score in pairs if score > 0)
        return [(at, min(-score, 1.0)) for score, at in ordered]

    def _outside(self, ask: Ask) -> Places | None:
        """Return which lessons are out of scope, None for none.

        Remembered for requests with the same facts.
        """
        facts = (
            ask.environment, ask.role, ask.surface, ask.locale, ask.model, ask.prompt, ask.topics,
        )  # fmt: skip
        if facts not in self._masks:
            out = np.array([not in_scope(scope, ask) for scope in self._scopes], np.bool_)
            places = np.flatnonzero(out[self._scope_of])
            self._masks[facts] = places if len(places) else None
            if len(self._masks) > MASKS:
                self._masks.popitem(last=False)
        return self._masks[facts]


def _in_blocks(vectors: Vectors) -> Vectors:
    """Return vectors as columns of blocks that are multiplied one by one, filled up with zeros."""
    size, dimensions = vectors.shape
    width = max(BLOCK // max(dimensions, 1) // 8 * 8, 8)
    count = max(-(-size // width), 1)
    padded = np.zeros((count * width, dimensions), np.float32)
    padded[:size] = vectors
    return np.ascontiguousarray(padded.reshape(count, width, dimensions).transpose(0, 2, 1))


def _distinct_scopes(lessons: Sequence[Lesson]) -> tuple[list[Any], NDArray[np.intp]]:
    numbers: dict[Any, int] = {}
    of = [numbers.setdefault(lesson.scope, len(numbers)) for lesson in lessons]
    return list(numbers), np.array(of, np.intp)
