"""Put several orders of the same things into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

#: Damps the first places; the value of the method's authors.
K = 60


def fuse(*orders: Sequence[str]) -> dict[str, float]:
    """Return each item's score by reciprocal rank, best first; equal scores by item.

    Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009. Scores of different queries
    cannot be compared.
    """
    scores: dict[str, float] = defaultdict(float)
    for order in orders:
        for rank, item in enumerate(order, 1):
            scores[item] += 1 / (K + rank)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))
