"""Logistic regression with few weights, held near the ones already known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Newton's steps double the digits; so many always suffice for a convex loss of a few weights.
STEPS = 30
#: Change of the weights from which on nothing more is gained.
ENOUGH = 1e-8

Floats = NDArray[np.float64]


def fit(features: Floats, right: Sequence[bool], prior: Floats, strength: Floats) -> Floats:
    """Return the weights under which what was seen is most likely, of shape (features,).

    `features` is of shape (observations, features); a constant is a feature of ones. `prior` is
    where the weights stand without data, `strength` how firmly: the inverse variance of a normal
    prior, greater than zero. With little data the answer stays at the prior.
    """
    truth = np.asarray(right, np.float64)
    weights = prior.astype(np.float64)
    loss = _loss(features, truth, weights, prior, strength)
    for _ in range(STEPS):
        likely = _sigmoid(features @ weights)
        slope = features.T @ (likely - truth) + strength * (weights - prior)
        spread = (features * (likely * (1 - likely))[:, None]).T @ features + np.diag(strength)
        step = np.linalg.solve(spread, slope)
        shorter = weights - step
        # Halved until it helps: a whole step may overshoot where the curve is flat.
        while (new := _loss(features, truth, shorter, prior, strength)) > loss + 1e-12:
            step = step / 2
            shorter = weights - step
        weights, loss = shorter, new
        if float(np.abs(step).max()) < ENOUGH:
            break
    return weights


def _sigmoid(values: Floats) -> Floats:
    return np.where(values >= 0, 1 / (1 + np.exp(-np.abs(values))),
                    np.exp(-np.abs(values)) / (1 + np.exp(-np.abs(values))))  # fmt: skip


def _loss(
    features: Floats, truth: Floats, weights: Floats, prior: Floats, strength: Floats
) -> float:
    values = features @ weights
    likelihood = (np.logaddexp(0, values) - truth * values).sum()
    return float(likelihood + (strength * (weights - prior) ** 2).sum() / 2)
