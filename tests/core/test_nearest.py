"""The nearest lessons are found exactly, in scope, and in the same order everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from support.lessons import NOW, lesson
from teachback.core.choose import CosineGate
from teachback.core.decide import decide
from teachback.core.nearest import CANDIDATES, Nearest, Vectors
from teachback.model.lesson import Scope
from teachback.model.recall import Ask, Rules


def vectors(size: int, dimensions: int = 384, seed: int = 7) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(size, dimensions)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("size", [1, 7, 49, 50, 51, 1_000])
@pytest.mark.parametrize("dimensions", [8, 256, 384, 4_000])
def test_nearest_are_those_of_the_whole_product(size: int, dimensions: int) -> None:
    """Cut into blocks or not, whatever the sizes."""
    rows = vectors(size, dimensions)
    query = vectors(1, dimensions, seed=1)[0]
    near = Nearest([lesson(f"l{n}") for n in range(size)], rows)
    found = near.matches(Ask(query="q"), query)
    cosines = rows @ query
    order = [at for at in np.argsort(-cosines, kind="stable") if cosines[at] > 0][:CANDIDATES]
    assert [one.lesson.id for one in found] == [f"l{at}" for at in order]
    assert [one.score for one in found] == pytest.approx(cosines[order], abs=1e-5)
    assert [one.rank for one in found] == list(range(1, len(found) + 1))


def test_equal_texts_come_first() -> None:
    """Also those that have no vector yet, and without a query's vector they alone."""
    rows = vectors(3)
    rows[2] = 0
    near = Nearest([lesson("a"), lesson("b"), lesson("c", situation="How  long?")], rows)
    found = near.matches(Ask(query="how long"), rows[0])
    assert [(one.lesson.id, one.exact) for one in found][:2] == [("c", True), ("a", False)]
    assert found[0].score == 1.0
    alone = near.matches(Ask(query="HOW LONG"), None)
    assert [one.lesson.id for one in alone] == ["c"]
    assert near.matches(Ask(query="x"), None) == []


def test_scope_narrows_before_the_nearest_are_taken() -> None:
    """One in scope is found behind ten thousand nearer ones out of it."""
    row = vectors(1)
    other = vectors(1, seed=2)
    rows = np.concatenate([np.repeat(row, 10_000, axis=0), row + other * 0.5])
    scoped = [lesson(f"l{n}", scope=Scope(roles=("guest",))) for n in range(10_000)]
    near = Nearest([*scoped, lesson("mine", scope=Scope(roles=("admin",)))], rows)
    found = near.matches(Ask(query="q", role="admin"), row[0])
    assert [one.lesson.id for one in found] == ["mine"]
    assert len(near.matches(Ask(query="q", role="admin"), row[0], everywhere=True)) == CANDIDATES


def test_ten_thousand_in_conflict_are_a_bounded_matter() -> None:
    """The same situation everywhere: those that stand first are looked at, and one is chosen."""
    rows = np.repeat(vectors(1), 10_000, axis=0)
    near = Nearest([lesson(f"l{n:05}", situation="same", text=f"{n}") for n in range(10_000)], rows)
    ask = Ask(query="Same?", user_id="u", trace_id="t")
    for vector in (rows[0], None):
        found = near.matches(ask, vector)
        assert [one.lesson.id for one in found] == [f"l{n:05}" for n in range(CANDIDATES)]
        done = decide(
            found, ask, Rules(holdout=0, propensity=1), gate=CosineGate(0.5), salt="p", now=NOW
        )
        assert [one.lesson.id for one in done.chosen] == ["l00000"]


def test_empty_project_has_no_matches() -> None:
    """Nothing is near nothing."""
    near = Nearest([], np.zeros((0, 384), np.float32))
    assert near.matches(Ask(query="q"), vectors(1)[0]) == []


def test_vector_of_another_model_finds_nothing() -> None:
    """Vectors of two lengths are never compared."""
    near = Nearest([lesson()], vectors(1))
    assert near.matches(Ask(query="q"), vectors(1, 256)[0]) == []


def test_decision_is_recorded_whatever_is_done() -> None:
    """Held back and in the holdout the same is chosen; only what is given differs."""
    near = Nearest([lesson("a"), lesson("b")], vectors(2))
    ask = Ask(query="situation a", user_id="u", trace_id="t")
    found = near.matches(ask, None)
    rules = {
        "injected": Rules(holdout=0, propensity=1.0),
        "held_back": Rules(holdout=0, propensity=0.0),
        "holdout": Rules(holdout=1),
    }
    for outcome, rule in rules.items():
        done = decide(found, ask, rule, gate=CosineGate(0.5), salt="p", now=NOW)
        assert done.outcome == outcome
        assert (done.text is not None) is (outcome == "injected")
        (one,) = done.injections
        assert (one.lesson_id, one.version, one.rank, one.position) == ("a", 1, 1, 1)
        assert (one.variant, one.reason, one.score) == (outcome, "exact", 1.0)
    assert (
        decide([], ask, Rules(), gate=CosineGate(0.5), salt="p", now=NOW).outcome == "nothing_fits"
    )
