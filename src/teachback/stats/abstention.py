"""When to stay silent: the loosest threshold of a score whose wrong answers stay below a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: One-sided: how sure the bound is.
CONFIDENCE = 0.95
#: Thresholds that are tried, from strict to loose, in log odds of the answer being right: fixed
#: before the data are seen, as the test demands. What is more likely wrong than right never passes.
GRID: tuple[float, ...] = tuple(round(12.0 - 0.05 * step, 2) for step in range(241))
#: Halvings until a bound is known to ten digits.
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Step:
    """What one threshold would have done to the held-out queries."""

    threshold: float
    #: Queries that would have been answered, and those of them wrongly.
    answered: int
    wrong: int
    #: Upper bound of the share of all queries that are answered wrongly.
    upper: float


def upper_bound(wrong: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Return the exact upper bound of a share of which `wrong` in `n` were seen.

    Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 1934: the share at
    which so few would be seen with a probability of 1 - confidence. Without observations it is 1.
    """
    if wrong >= n:
        return 1.0
    least, target = wrong / n, math.log1p(-confidence)
    most = 1.0
    ways = _log_ways(wrong, n)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        if _log_at_most(ways, n, middle) > target:
            least = middle
        else:
            most = middle
    return most


def needed(bound: float, wrong: int = 0, confidence: float = CONFIDENCE) -> int:
    """Return how many queries it takes until `wrong` wrong ones keep to the bound.

    At 2 %: 149 without a wrong one, 236 with one, 313 with two.
    """
    least, most = wrong, wrong + 1
    while upper_bound(wrong, most, confidence) > bound:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        if upper_bound(wrong, middle, confidence) > bound:
            least = middle
        else:
            most = middle
    return most


def curve(
    scores: Sequence[float], wrong: Sequence[bool], grid: Sequence[float] = GRID
) -> list[Step]:
    """Return what each threshold does, strict first.

    `scores` has the score of the best candidate of each held-out query, minus infinity where there
    is none; `wrong` says whether that candidate would have been a wrong answer.
    """
    numbers = np.asarray(scores, np.float64)
    order = np.argsort(-numbers, kind="stable")
    passing = np.searchsorted(-numbers[order], -np.asarray(grid), side="right")
    errors = np.concatenate([[0], np.cumsum(np.asarray(wrong, bool)[order])])[passing]
    bounds = {int(count): upper_bound(int(count), len(numbers)) for count in np.unique(errors)}
    return [
        Step(threshold, int(answered), int(count), bounds[int(count)])
        for threshold, answered, count in zip(grid, passing, errors, strict=True)
    ]


def loosest(steps: Sequence[Step], bound: float) -> Step | None:
    """Return the last step before the bound is broken for the first time; None when it is at once.

    Of steps that answer the same queries it is the strictest: nothing is known of what is less
    sure than all that was seen.

    A fixed-sequence test: thresholds are tested from strict to loose, and testing ends at the first
    failure, so that no correction for their number is due. Angelopoulos, Bates, Candès, Jordan and
    Lei, Learn then Test, 2021.
    """
    kept: Step | None = None
    for step in steps:
        if step.upper > bound:
            break
        if kept is None or step.answered > kept.answered:
            kept = step
    return kept


def _log_ways(wrong: int, n: int) -> NDArray[np.float64]:
    """Return the logarithms of n over k for k from 0 to `wrong`."""
    steps = np.arange(wrong, dtype=np.float64)
    ratios = np.log((n - steps) / (steps + 1))
    return np.concatenate([[0.0], np.cumsum(ratios)])


def _log_at_most(ways: NDArray[np.float64], n: int, share: float) -> float:
    """Return the log probability of at most as many as there are ways for, less one."""
    if share >= 1:
        return -math.inf
    seen = np.arange(len(ways))
    terms = ways + seen * math.log(share) + (n - seen) * math.log1p(-share)
    top = float(terms.max())
    return top + math.log(float(np.exp(terms - top).sum()))
