"""The recall gate: whether what is remembered fits a query well enough to be put into a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teachback.core.memory import Candidate

#: What a gate weighs, in the order of its weights; the last one is a constant.
FEATURES = ("centre", "nearest", "words", "crowding", "margin", "one")

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibratedGate:
    """One project's calibration with one embedding model."""

    #: Names the vectors that it was calibrated with.
    model: str
    #: One weight a feature: their sum is the log odds that a match is right.
    weights: tuple[float, ...]
    #: Least log odds that pass; None while too little is known: then nothing passes.
    threshold: float | None

    @property
    def is_open(self) -> bool:
        """Whether anything passes at all."""
        return self.threshold is not None

    def score(self, candidate: Candidate) -> float:
        """Return the log odds that a candidate is right."""
        return float(features(candidate) @ np.asarray(self.weights))

    def fits(self, score: float) -> bool:
        """Tell whether such log odds are enough."""
        return self.threshold is not None and score >= self.threshold


def features(candidate: Candidate) -> Floats:
    """Return what is weighed of a candidate, of shape (features,)."""
    return np.array(
        [
            candidate.centre,
            candidate.nearest,
            candidate.words,
            candidate.crowding,
            candidate.margin,
            1.0,
        ],
        np.float64,
    )


def to_json(gate: CalibratedGate) -> dict[str, Any]:
    """Write a gate as numbers, for an SDK that matches by itself."""
    return {"model": gate.model, "weights": dict(zip(FEATURES, gate.weights, strict=True)),
            "threshold": gate.threshold}  # fmt: skip


def from_json(data: Mapping[str, Any]) -> CalibratedGate:
    """Read a gate; weights that it does not name are nought. KeyError when it is no gate."""
    weights: Mapping[str, float] = data["weights"]
    threshold = data["threshold"]
    return CalibratedGate(
        model=str(data["model"]),
        weights=tuple(float(weights.get(name, 0.0)) for name in FEATURES),
        threshold=None if threshold is None else float(threshold),
    )
