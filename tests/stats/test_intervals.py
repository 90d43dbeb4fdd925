"""Intervals hold what they promise."""

from __future__ import annotations

import random

import pytest

from teachback.stats.intervals import mean, share


@pytest.mark.parametrize(("n", "p"), [(20, 0.05), (20, 0.5), (100, 0.02), (400, 0.9)])
def test_share_lies_in_its_interval_as_often_as_promised(n: int, p: float) -> None:
    """Wilson's coverage is near 95 %, averaged over n, also at small n and near 0."""
    draw = random.Random(7)
    inside = 0
    for _ in range(2_000):
        found = share(sum(draw.random() < p for _ in range(n)), n)
        assert found is not None
        inside += found.low <= p <= found.high
    assert inside / 2_000 > 0.92


def test_mean_lies_in_its_interval_as_often_as_promised() -> None:
    """Skewed values, as latencies are, at the least number that is shown."""
    draw = random.Random(7)
    inside = 0
    for _ in range(2_000):
        values = [draw.expovariate(1) for _ in range(30)]
        found = mean(sum(values), sum(value * value for value in values), 30)
        assert found is not None
        assert found.enough
        inside += found.low <= 1 <= found.high
    assert inside / 2_000 > 0.90


def test_bounds_stay_possible() -> None:
    """A share is never below 0 or above 1, and lies inside its own bounds."""
    for n in (1, 3, 10, 1_000):
        for count in (0, n):
            found = share(count, n)
            assert found is not None
            assert 0 <= found.low <= found.value <= found.high <= 1


def test_nothing_has_no_interval() -> None:
    """No observation, no figure; a few are not enough."""
    assert share(0, 0) is None
    assert mean(0, 0, 0) is None
    few = share(1, 3)
    assert few is not None
    assert not few.enough
    one = mean(5, 25, 1)
    assert one is not None
    assert (one.value, one.low, one.high, one.enough) == (5, 5, 5, False)
