"""Few weights are found where they are, and stay where they were while nothing is known."""

from __future__ import annotations

import numpy as np

from teachback.stats.logistic import fit

TRUE = np.array([2.0, -1.0, 0.5])


def _seen(n: int) -> tuple[np.ndarray, list[bool]]:
    draw = np.random.default_rng(5)
    features = np.column_stack([draw.standard_normal((n, 2)), np.ones(n)])
    likely = 1 / (1 + np.exp(-features @ TRUE))
    return features, (draw.random(n) < likely).tolist()


def test_weights_are_found() -> None:
    """Within what chance allows, from far away."""
    features, right = _seen(20_000)
    found = fit(features, right, np.array([-5.0, 9.0, 30.0]), np.full(3, 1e-6))
    assert np.abs(found - TRUE).max() < 0.1


def test_without_data_the_prior_stays() -> None:
    """Nothing seen, nothing moved."""
    prior = np.array([1.0, 2.0, 3.0])
    found = fit(np.zeros((0, 3)), [], prior, np.full(3, 0.1))
    assert np.allclose(found, prior)


def test_what_is_separated_perfectly_has_an_answer() -> None:
    """The prior keeps weights finite."""
    features = np.column_stack([np.linspace(-1, 1, 50), np.ones(50)])
    found = fit(features, (features[:, 0] > 0).tolist(), np.zeros(2), np.full(2, 0.02))
    assert np.isfinite(found).all()
    assert found[0] > 5
