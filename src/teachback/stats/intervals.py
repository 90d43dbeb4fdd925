"""Intervals for shares and means, and when there is too little to show one."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Two-sided 95 %.
Z = 1.959964
#: Below it a share's interval is more than half of all there is to be, and tells nothing.
ENOUGH_FOR_SHARE = 10
#: The usual bound from which a mean of skewed values is near enough to normal.
ENOUGH_FOR_MEAN = 30


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between its 95 % bounds, from n observations."""

    value: float
    low: float
    high: float
    n: int
    #: There are enough observations to show it.
    enough: bool


def share(count: float, n: int) -> Interval | None:
    """Return the share of n with Wilson's interval; None when there is nothing.

    Wilson 1927; recommended by Brown, Cai and DasGupta, Interval Estimation for a Binomial
    Proportion, 2001, for its coverage at small n and near 0 and 1.
    """
    if n <= 0:
        return None
    p = count / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return Interval(
        value=p,
        low=max(0.0, min(p, middle - half)),
        high=min(1.0, max(p, middle + half)),
        n=n,
        enough=n >= ENOUGH_FOR_SHARE,
    )


def mean(total: float, squares: float, n: int) -> Interval | None:
    """Return the mean of n values, of known sum and sum of squares, with its normal interval.

    None when there is nothing; one value has no interval of its own, so its bounds are itself.
    """
    if n <= 0:
        return None
    middle = total / n
    spread = max(0.0, squares - total * total / n) / (n - 1) if n > 1 else 0.0
    half = Z * math.sqrt(spread / n)
    return Interval(
        value=middle, low=middle - half, high=middle + half, n=n, enough=n >= ENOUGH_FOR_MEAN
    )
