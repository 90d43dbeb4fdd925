"""A threshold keeps to its bound as surely as it says, and is as loose as that allows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from teachback.stats.abstention import GRID, Step, curve, loosest, needed, upper_bound


@pytest.mark.parametrize(("wrong", "n"), [(0, 149), (1, 236), (2, 313)])
def test_so_many_queries_are_needed_for_two_in_a_hundred(wrong: int, n: int) -> None:
    """The known numbers, and one query less is too few."""
    assert needed(0.02, wrong) == n
    assert upper_bound(wrong, n) <= 0.02 < upper_bound(wrong, n - 1)


@pytest.mark.parametrize(
    ("wrong", "n", "bound"),
    [(0, 10, 0.258866), (3, 20, 0.343664), (10, 1_000, 0.016903), (50, 3_000, 0.021049)],
)
def test_the_upper_bound_is_the_exact_one(wrong: int, n: int, bound: float) -> None:
    """Quantiles of the beta distribution, from another implementation."""
    assert upper_bound(wrong, n) == pytest.approx(bound, abs=1e-6)


def test_the_upper_bound_without_evidence_is_everything() -> None:
    """Nothing seen, or nothing but errors."""
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


def test_the_curve_counts_what_passes_each_threshold() -> None:
    """Scores at a threshold pass it; no candidate never does."""
    steps = curve([5.0, 4.0, 4.0, 1.0, -math.inf], [False, True, False, True, True], [6, 4, 0])
    assert [(step.answered, step.wrong) for step in steps] == [(0, 0), (3, 1), (4, 2)]
    assert steps[0].upper == pytest.approx(upper_bound(0, 5))


def test_testing_ends_at_the_first_failure() -> None:
    """A later threshold that looks good again does not count."""
    steps = [Step(3, 10, 0, 0.01), Step(2, 20, 1, 0.03), Step(1, 90, 1, 0.015)]
    assert loosest(steps, 0.02) == steps[0]
    assert loosest(steps, 0.005) is None
    assert loosest([], 0.02) is None


def test_nothing_is_looser_than_what_was_seen() -> None:
    """Of thresholds that do the same, the strictest."""
    steps = curve([5.0] * 200, [False] * 200)
    found = loosest(steps, 0.02)
    assert found is not None
    assert (found.threshold, found.answered) == (5.0, 200)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_bound_is_broken_no_more_often_than_promised(rate: float) -> None:
    """In 95 of 100 projects the true share of wrong answers is within the bound."""
    draw = np.random.default_rng(7)
    broken = 0
    for _ in range(300):
        wrong = draw.random(1_000) < rate
        scores = draw.normal(np.where(wrong, 0.0, 2.0), 1.0)
        step = loosest(curve(scores.tolist(), wrong.tolist()), 0.02)
        assert step is not None
        # The share that passes in truth, of all queries.
        truth = rate * 0.5 * math.erfc(step.threshold / math.sqrt(2))
        broken += truth > 0.02
    assert broken / 300 <= 0.075


def test_the_grid_goes_from_strict_to_loose() -> None:
    """It is fixed before the data are seen."""
    assert sorted(GRID, reverse=True) == list(GRID)
    assert (GRID[0], GRID[-1]) == (12.0, 0.0)
