"""How well a query fits what is remembered: by words and by meaning, in one score.

Several remembered texts may belong to one problem; together they are a group, and a query is
compared with what they have in common as well as with each. What other queries of the project
mean, judged or not, tells where one group ends and the next begins. What was measured stands in
docs/decisions/recall-scores.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teachback.core.pieces import Pieces

#: What nearness to the nearest text of a group, and its share of the query's wording, add to the
#: nearness to its centre, and what crowding takes off. All constants here were chosen together on
#: training parts of four public intent sets; around them the order hardly changes.
NEAREST, WORDS, CROWDING = 0.25, 0.2, 0.4
#: Queries that are nearer to a group than to any other draw its centre to them: so many at most.
#: Together they count for PULL texts, beside the group's own and FIRM more.
NEIGHBOURS, PULL, FIRM = 10, 6.0, 3.0
#: Queries of the project that are enough to know its neighbourhoods.
POOL = 2_000

#: Centres compared at once: so many rows are in memory.
AT_ONCE = 500

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """The group that a query fits best, and what speaks for it."""

    group: str
    #: Orders the groups of one query.
    score: float
    #: Cosine to what the group's texts have in common, and to the nearest of them.
    centre: float
    nearest: float
    #: Share of the query's wording in one of its texts; about 1 for the same words.
    words: float
    #: Mean cosine of the centre to its neighbours: a group in a crowd is easily mistaken.
    crowding: float
    #: How much better its score is than that of the best other group.
    margin: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Queries against groups, each of shape (queries, groups)."""

    score: Floats
    centre: Floats
    nearest: Floats
    words: Floats
    #: Of shape (groups,).
    crowding: Floats

    def best(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the best group of each query, and its margin to the next; or to nought."""
        best = self.score.argmax(axis=1)
        others = self.score.copy()
        others[np.arange(len(best)), best] = -np.inf
        second = others.max(axis=1)
        return best, self.score.max(axis=1) - np.where(np.isfinite(second), second, 0.0)


class Memory:
    """What is remembered, ready to be compared with queries; never changed once made."""

    def __init__(
        self, texts: Sequence[str], vectors: Floats, groups: Sequence[str],
        pool: Floats | None = None,
    ) -> None:  # fmt: skip
        """Index texts with their unit vectors, of shape (texts, dimensions), and their groups.

        `pool` has vectors of other queries of the project, of which nothing else need be known.
        """
        self.groups = list(dict.fromkeys(groups))
        self._places = {name: at for at, name in enumerate(self.groups)}
        of = np.array([self._places[name] for name in groups], np.int64)
        # Each group is one stretch of texts.
        order = np.argsort(of, kind="stable")
        self._sizes = np.bincount(of, minlength=len(self.groups))
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._vectors = np.ascontiguousarray(vectors[order])
        self._pieces = Pieces([texts[at] for at in order])
        self._centres, self._crowding = self._laid_out(pool)

    def find(self, text: str, vector: Floats, among: Iterable[str]) -> Candidate | None:
        """Return the best of some groups for a query; None when none of them is remembered.

        Within a millisecond for the groups of some fifty texts, however many are remembered.
        """
        places = sorted({self._places[name] for name in among if name in self._places})
        if not places:
            return None
        compared = self._compare([text], vector[None], np.array(places))
        best, margin = compared.best()
        at = int(best[0])
        return Candidate(
            group=self.groups[places[at]],
            score=float(compared.score[0, at]),
            centre=float(compared.centre[0, at]),
            nearest=float(compared.nearest[0, at]),
            words=float(compared.words[0, at]),
            crowding=float(compared.crowding[at]),
            margin=float(margin[0]),
        )

    def compare(self, texts: Sequence[str], vectors: Floats) -> Comparison:
        """Compare queries, with unit vectors of shape (queries, dimensions), with all groups."""
        return self._compare(texts, vectors, None)

    def _compare(
        self, texts: Sequence[str], vectors: Floats, places: NDArray[np.int64] | None
    ) -> Comparison:
        rows: slice | NDArray[np.int64] = slice(None)
        starts, centres, crowding = self._starts, self._centres, self._crowding
        if places is not None:
            rows = np.concatenate([
                np.arange(self._starts[at], self._starts[at] + self._sizes[at]) for at in places
            ])  # fmt: skip
            starts = np.cumsum(self._sizes[places]) - self._sizes[places]
            centres, crowding = centres[places], crowding[places]
        near = np.maximum.reduceat(vectors @ self._vectors[rows].T, starts, axis=1)
        shares = np.stack([self._pieces.shares(text)[rows] for text in texts])
        words = np.maximum.reduceat(shares, starts, axis=1)
        centre = vectors @ centres.T
        score = centre + NEAREST * near + WORDS * words - CROWDING * crowding
        return Comparison(score, centre, near, words, crowding)

    def _laid_out(self, pool: Floats | None) -> tuple[Floats, Floats]:
        """Return the centre of each group, and how crowded it is there."""
        if not self.groups:
            return self._vectors[:0], np.zeros(0, np.float32)
        centres = _units(np.add.reduceat(self._vectors, self._starts, axis=0))
        if pool is None or len(pool) < NEIGHBOURS:
            return centres, _crowding(centres, centres[:POOL], own=True)
        drawn = _drawn(centres, self._sizes, pool)
        return drawn, _crowding(drawn, pool, own=False)


def _drawn(centres: Floats, sizes: NDArray[np.int64], pool: Floats) -> Floats:
    """Draw each centre to the queries that are nearer to it than to any other.

    One step of learning from unlabelled examples: Rocchio's feedback with neighbours in place of
    judgements; near to what Zhu and Ghahramani call label propagation, 2002.
    """
    owner = np.zeros(len(pool), np.int64)
    best = np.full(len(pool), -np.inf, np.float32)
    for start, alike in _blocks(centres, pool):
        most = alike.max(axis=0)
        owner = np.where(most > best, alike.argmax(axis=0) + start, owner)
        best = np.maximum(most, best)
    nearest = np.concatenate([_greatest(alike) for _, alike in _blocks(centres, pool)])
    owned = owner[nearest] == np.arange(len(centres))[:, None]
    around = np.einsum("gk,gkd->gd", owned.astype(np.float32), pool[nearest]) / NEIGHBOURS
    pull = (PULL / (sizes + FIRM)).astype(np.float32)[:, None]
    return _units(centres + pull * around)


def _crowding(centres: Floats, others: Floats, *, own: bool) -> Floats:
    """Return the mean nearness of each centre to its neighbours; `own` are centres themselves."""
    means: list[Floats] = []
    for start, alike in _blocks(centres, others):
        if own:
            seen = np.arange(start, min(start + len(alike), len(others)))
            alike[seen - start, seen] = 0.0
        means.append(np.take_along_axis(alike, _greatest(alike), axis=1).mean(axis=1))
    return np.concatenate(means).astype(np.float32)


def _blocks(centres: Floats, others: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield where a block of centres begins, and its cosines to the others."""
    for start in range(0, len(centres), AT_ONCE):
        yield start, centres[start : start + AT_ONCE] @ others.T


def _greatest(alike: Floats) -> NDArray[np.int64]:
    """Return the places of the greatest few of each row, in any order."""
    count = min(NEIGHBOURS, alike.shape[1])
    places: NDArray[np.int64] = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    return places


def _units(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return units
