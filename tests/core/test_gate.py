"""A gate is a few numbers, the same in the server and in an SDK."""

from __future__ import annotations

import json

import pytest

from teachback.core.gate import FEATURES, CalibratedGate, features, from_json, to_json
from teachback.core.memory import Candidate

WEIGHTS = (2.0, 0.5, 1.0, -1.0, 8.0, -3.0)
NEAR = Candidate(
    group="one", score=0.9, centre=0.8, nearest=0.9, words=0.5, crowding=0.4, margin=0.5
)


def test_a_gate_weighs_every_feature() -> None:
    """Their sum is the log odds."""
    gate = CalibratedGate(model="m", weights=WEIGHTS, threshold=2.0)
    assert gate.score(NEAR) == pytest.approx(1.6 + 0.45 + 0.5 - 0.4 + 4.0 - 3.0)
    assert gate.is_open
    assert gate.fits(2.0)
    assert not gate.fits(1.99)
    assert features(NEAR).shape == (len(FEATURES),)


def test_a_shut_gate_lets_nothing_pass() -> None:
    """However good it looks."""
    gate = CalibratedGate(model="m", weights=WEIGHTS, threshold=None)
    assert not gate.is_open
    assert not gate.fits(1e9)


@pytest.mark.parametrize("threshold", [1.25, None])
def test_a_gate_survives_being_written(threshold: float | None) -> None:
    """Weights of an earlier version that it lacks are nought."""
    gate = CalibratedGate(model="m", weights=WEIGHTS, threshold=threshold)
    assert from_json(json.loads(json.dumps(to_json(gate)))) == gate
    older = to_json(gate)
    del older["weights"]["margin"]
    assert from_json(older).weights[FEATURES.index("margin")] == 0
