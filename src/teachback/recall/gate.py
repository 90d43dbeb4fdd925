"""Calibrate the recall gate: how sure is sure enough, measured on queries that were held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teachback.core.gate import FEATURES, CalibratedGate
from teachback.core.memory import Floats, Memory
from teachback.model.recall import Rules
from teachback.stats.abstention import Step, curve, loosest, needed
from teachback.stats.logistic import fit

#: Share of all queries that may be given something wrong.
BOUND = Rules().bound
#: Weights without data of one's own, in the order of FEATURES: fitted on the training parts of two
#: public intent sets with the local model. What tells is how far the best group is ahead.
PRIOR = (2.5, 0.3, 0.7, -1.1, 10.5, -1.7)
#: How firmly the weights stay there: ten observations of each kind move them well.
STRENGTH = 0.02
#: Parts of the queries: each is scored by weights that were fitted to the others, as soon as half
#: of them would be enough for a threshold.
PARTS = 5
#: Parts into which end users are divided: each part is asked without its own items.
FOLDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A remembered text."""

    text: str
    group: str
    #: Whose it is; None is nobody's, such as what a reviewer wrote.
    user: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A query that is held out, and to which groups it is known to belong; none when to none."""

    text: str
    groups: frozenset[str]
    user: str | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was weighed of the best group of each query, and whether it was right."""

    #: Of shape (queries, features).
    features: Floats
    right: Sequence[bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """A gate, with all that it rests on."""

    gate: CalibratedGate
    bound: float
    #: Queries behind it, of one end user each.
    queries: int
    #: Where the gate stands on the curve; None when it is shut.
    step: Step | None
    #: What each threshold would do, strict first.
    curve: tuple[Step, ...]

    @property
    def missing(self) -> int:
        """Queries that are missing until a gate can open at all."""
        return max(0, needed(self.bound) - self.queries)


def hold_out(
    items: Sequence[Item], vectors: Floats, asked: Sequence[Asked], queries: Floats,
    pool: Floats | None = None,
) -> HeldOut:  # fmt: skip
    """Ask each query against what is remembered without its own user's items.

    `vectors` are those of the items, `queries` those of the queries, each of unit length.
    """
    features = np.zeros((len(asked), len(FEATURES)), np.float32)
    right = [False] * len(asked)
    for kept, part in _folds(items, asked):
        memory = Memory(
            [items[at].text for at in kept], vectors[kept], [items[at].group for at in kept], pool
        )
        found, groups = weigh(memory, [asked[at].text for at in part], queries[part])
        features[part] = found
        for at, group in zip(part, groups, strict=True):
            right[at] = group in asked[at].groups
    return HeldOut(features, right)


def weigh(memory: Memory, texts: Sequence[str], vectors: Floats) -> tuple[Floats, list[str]]:
    """Return what a gate weighs of each query's best group, and that group; "" for none."""
    if not memory.groups or not texts:
        return np.zeros((len(texts), len(FEATURES)), np.float32), [""] * len(texts)
    compared = memory.compare(texts, vectors)
    best, margins = compared.best()
    rows = np.arange(len(texts))
    columns = (
        compared.centre[rows, best], compared.nearest[rows, best], compared.words[rows, best],
        compared.crowding[best], margins, np.ones(len(texts), np.float32),
    )  # fmt: skip
    return np.stack(columns, axis=1), [memory.groups[at] for at in best.tolist()]


def calibrate(held: HeldOut, *, model: str, bound: float = BOUND) -> Calibration:
    """Return the loosest gate that keeps to the bound, by what was held out.

    Each query is scored by weights that have not seen it: a threshold found on what the weights
    have seen would be too loose.
    """
    features = held.features.astype(np.float64)
    right = np.asarray(held.right, bool)
    scores = features @ np.asarray(PRIOR)
    weights = np.asarray(PRIOR)
    if len(right) >= 2 * needed(bound):
        for part in range(PARTS):
            own = np.arange(len(right)) % PARTS == part
            scores[own] = features[own] @ _fitted(features[~own], right[~own])
        weights = _fitted(features, right)
    steps = curve(scores.tolist(), (~right).tolist())
    step = loosest(steps, bound)
    gate = CalibratedGate(
        model=model, weights=tuple(weights.tolist()), threshold=step.threshold if step else None
    )
    return Calibration(gate=gate, bound=bound, queries=len(right), step=step, curve=tuple(steps))


def _fitted(features: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    return fit(features, right.tolist(), np.asarray(PRIOR), np.full(len(PRIOR), STRENGTH))


def _folds(items: Sequence[Item], asked: Sequence[Asked]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield what is remembered and what is asked of it, by their places."""
    owners = {item.user for item in items if item.user is not None}
    fold = {user: at % FOLDS for at, user in enumerate(sorted(owners))}
    for part in (None, *range(FOLDS)):
        wanted = [at for at, one in enumerate(asked) if fold.get(one.user or "") == part]
        if wanted:
            kept = [
                at for at, item in enumerate(items)
                if part is None or fold.get(item.user or "") != part
            ]  # fmt: skip
            yield kept, wanted
