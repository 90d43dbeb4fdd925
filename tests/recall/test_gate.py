"""The gate opens as far as held-out queries allow, and no end user vouches for themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from teachback.core.memory import Memory
from teachback.recall.gate import Asked, HeldOut, Item, calibrate, hold_out, weigh

Floats = NDArray[np.float32]
WIDTH, GROUPS = 48, 30


def _units(rows: NDArray[np.floating[Any]]) -> Floats:
    units: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return units


CENTRES = _units(np.random.default_rng(1).standard_normal((GROUPS, WIDTH)))


def _project(n: int, seed: int) -> tuple[list[Asked], Floats]:
    """Return queries by as many end users; a fifth of them belongs to nothing that is known."""
    draw = np.random.default_rng(seed)
    of = draw.integers(0, GROUPS, n)
    strange = draw.random(n) < 0.2
    there = np.where(strange[:, None], draw.standard_normal((n, WIDTH)) / 7, CENTRES[of])
    vectors = _units(there + 0.17 * draw.standard_normal(there.shape))
    asked = [
        Asked(text="", groups=frozenset() if odd else frozenset([f"g{group}"]), user=f"u{at}")
        for at, (group, odd) in enumerate(zip(of.tolist(), strange.tolist(), strict=True))
    ]
    return asked, vectors


ITEMS = [Item(text="", group=f"g{at}") for at in range(GROUPS)]


def test_the_bound_holds_for_queries_that_follow() -> None:
    """In nearly all projects, and most of what can be answered is."""
    memory = Memory([""] * GROUPS, CENTRES, [item.group for item in ITEMS])
    now, vectors = _project(4_000, seed=99)
    found, groups = weigh(memory, [""] * len(now), vectors)
    wrong = np.array([g not in one.groups for g, one in zip(groups, now, strict=True)])
    rates = []
    for seed in range(20):
        asked, queries = _project(600, seed)
        made = calibrate(hold_out(ITEMS, CENTRES, asked, queries), model="m")
        assert made.step is not None
        assert made.queries == 600
        passed = found @ np.array(made.gate.weights) >= made.step.threshold
        rates.append(float((passed & wrong).mean()))
        assert passed.mean() > 0.5
    assert sum(rate > 0.02 for rate in rates) <= 3
    assert max(rates) < 0.035


def test_too_few_queries_keep_the_gate_shut() -> None:
    """148 without an error say too little for two in a hundred, 149 say enough."""
    asked, queries = _project(400, seed=3)
    easy = [(one, query) for one, query in zip(asked, queries, strict=True) if one.groups]
    for n, is_open in ((148, False), (149, True)):
        some = [one for one, _ in easy[:n]]
        rows = np.stack([query for _, query in easy[:n]])
        held = hold_out(ITEMS, CENTRES, some, rows)
        made = calibrate(HeldOut(held.features, [True] * n), model="m")
        assert made.gate.is_open is is_open
        assert made.missing == 149 - n


def test_nobody_is_compared_with_what_they_said_themselves() -> None:
    """Each one's own item is all that fits, and another's group stands for it."""
    users = [f"u{at}" for at in range(GROUPS)]
    items = [Item(text="", group=f"g{at}", user=users[at]) for at in range(GROUPS)]
    asked = [
        Asked(text="", groups=frozenset([f"g{at}"]), user=user) for at, user in enumerate(users)
    ]
    alone = hold_out(items, CENTRES, asked, CENTRES)
    assert not any(alone.right)
    twice = items + [Item(text="", group=item.group) for item in items]
    helped = hold_out(twice, np.concatenate([CENTRES, CENTRES]), asked, CENTRES)
    assert all(helped.right)


@pytest.mark.parametrize("bound", [0.005, 0.02, 0.1])
def test_a_looser_bound_answers_more(bound: float) -> None:
    """And what it costs is told by the same curve."""
    asked, queries = _project(3_000, seed=5)
    made = calibrate(hold_out(ITEMS, CENTRES, asked, queries), model="m", bound=bound)
    assert made.step is not None
    assert made.step.upper <= bound
    more = [step for step in made.curve if step.answered > made.step.answered]
    assert not more or more[0].upper > bound


def test_nothing_remembered_is_nothing_to_weigh() -> None:
    """A project without lessons, and one without queries."""
    asked, queries = _project(5, seed=6)
    none = hold_out([], np.zeros((0, WIDTH), np.float32), asked, queries)
    assert not calibrate(none, model="m").gate.is_open
    assert calibrate(hold_out(ITEMS, CENTRES, [], queries[:0]), model="m").missing == 149
