"""The suite of figures draws fairly, and says plainly when it has no data."""

from __future__ import annotations

import numpy as np
import pytest

from teachback.bench.public_data import MISSING, divided
from teachback.bench.recall import auroc, drawn, on_public_data


def test_without_data_figures_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to set, and no target counts as missed."""
    monkeypatch.delenv("TEACHBACK_DATA", raising=False)
    figures = on_public_data(quick=True, progress=lambda _: None)
    assert {figure.note for figure in figures} == {MISSING}
    assert not any(figure.missed for figure in figures)


def test_a_smaller_draw_is_part_of_a_larger_one() -> None:
    """So that sizes are compared on the same texts."""
    known = {label: [f"{label} {number}" for number in range(20)] for label in "ab"}
    one, five = drawn(known, 1, seed=3), drawn(known, 5, seed=3)
    assert set(one.texts) < set(five.texts)
    assert five.labels == ["a"] * 5 + ["b"] * 5
    assert drawn(known, 5, seed=4).texts != five.texts


def test_nothing_that_is_asked_is_remembered() -> None:
    """A quarter of each label is asked, the rest is known."""
    parts = divided([(f"text {at}", "ab"[at % 2]) for at in range(80)], seed=1)
    asked = {text for text, _ in parts.asked}
    assert len(asked) == 20
    assert not asked & {text for texts in parts.known.values() for text in texts}


def test_auroc_counts_pairs() -> None:
    """Ties count half."""
    above, below = np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0])
    assert auroc(above, below) == pytest.approx((2 + 1.5 + 1.5) / 6)
