"""A query is compared with what the texts of a group have in common, and with each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from teachback.core import memory
from teachback.core.memory import Memory

WIDTH = 32
Floats = NDArray[np.float32]


def _units(rows: NDArray[np.floating[Any]]) -> Floats:
    units: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return units


def _around(centres: Floats, each: int, seed: int, spread: float = 0.2) -> Floats:
    """Return vectors scattered around centres, those of one centre after each other."""
    draw = np.random.default_rng(seed)
    there = np.repeat(centres, each, axis=0)
    return _units(there + spread * draw.standard_normal(there.shape))


CENTRES = _units(np.random.default_rng(1).standard_normal((20, WIDTH)))


def _known(each: int, pool: Floats | None = None) -> Memory:
    groups = [f"group {at}" for at in range(20) for _ in range(each)]
    return Memory([""] * len(groups), _around(CENTRES, each, seed=2), groups, pool)


def _right(known: Memory) -> float:
    queries = _around(CENTRES, 20, seed=3)
    best, _ = known.compare([""] * len(queries), queries).best()
    return float((best == np.repeat(np.arange(20), 20)).mean())


def test_more_texts_of_a_group_say_better_what_it_is_about() -> None:
    """Their centre is nearer to new queries than each of them."""
    assert _right(_known(1)) < _right(_known(4)) < _right(_known(12))


def test_queries_that_nobody_judged_tell_where_a_group_is() -> None:
    """With one text a group, its neighbours do for others."""
    pool = _around(CENTRES, 30, seed=4)
    assert _right(_known(1, pool)) > _right(_known(1)) + 0.05


def test_one_query_among_some_groups_is_compared_as_many_are() -> None:
    """What the gate was calibrated on is what it weighs."""
    known = _known(3, _around(CENTRES, 30, seed=4))
    query = _around(CENTRES, 1, seed=5)[7]
    found = known.find("", query, ["group 3", "unknown", "group 7", "group 9"])
    assert found is not None
    compared = known.compare([""], query[None])
    assert found.group == "group 7"
    assert found.score == np.float32(compared.score[0, 7])
    other = max(compared.score[0, 3], compared.score[0, 9])
    assert abs(found.margin - (compared.score[0, 7] - other)) < 1e-6


def test_a_group_alone_is_as_far_ahead_as_its_score() -> None:
    """There is no other; being alone is no merit."""
    lone = Memory(["refund"], CENTRES[:1], ["one"])
    found = lone.find("parcel", CENTRES[1], ["one"])
    assert found is not None
    assert found.margin == found.score
    assert found.score < 0.5


def test_nothing_remembered_finds_nothing() -> None:
    """An empty project is no fault."""
    empty = Memory([], np.zeros((0, WIDTH), np.float32), [])
    assert empty.find("refund", CENTRES[0], ["one"]) is None


def test_many_groups_are_laid_out_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks bound the memory, and change nothing."""
    pool = _around(CENTRES, 30, seed=4)
    queries = _around(CENTRES, 2, seed=6)
    texts = [""] * len(queries)
    whole = [_known(2, given).compare(texts, queries).score for given in (None, pool)]
    monkeypatch.setattr(memory, "AT_ONCE", 3)
    parts = [_known(2, given).compare(texts, queries).score for given in (None, pool)]
    assert np.allclose(whole, parts, atol=1e-5)
