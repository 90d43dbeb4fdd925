"""Calibrated silence: what a gate does to the queries that follow those it was calibrated on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from teachback.bench.progress import Progress
from teachback.bench.public_data import (
    LabelledTexts,
    Row,
    TextVectors,
    banking77,
    clinc150,
    divided,
)
from teachback.bench.report import Figure
from teachback.core.memory import POOL, Memory
from teachback.recall.gate import BOUND, Asked, Calibration, Item, calibrate, hold_out, weigh
from teachback.stats.intervals import mean

#: Remembered texts a label, and queries from before that the gate is calibrated on.
REMEMBERED, BEFORE = 5, 3_000
#: Questions of the stream that come before the gate is asked, and the share that is clarified.
STREAM, CLARIFIED = 1_000, (0.5, 1.0, 0.15)
#: Wrong answers that are let pass, and the share of the best possible answers that are given.
MOST_WRONG, LEAST_ANSWERED = 0.03, 0.8

Pairs = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One project: what it remembers, what it was asked before, and what it is asked now."""

    remembered: Pairs
    before: Pairs
    now: Pairs
    pool: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the queries, as shares of them."""

    answered: float
    wrong: float
    #: Answered by the best threshold, chosen with hindsight.
    possible: float


def figures(
    sets: dict[str, Callable[[], Iterator[Row]]], vectors: TextVectors, draws: int,
    progress: Progress,
) -> list[Figure]:  # fmt: skip
    """Measure the gate on five sets, and on a stream of questions with clarifications."""
    made: list[Figure] = []
    for name, trial in _trials(sets).items():
        outcomes = []
        for seed in range(draws):
            progress(f"calibrated, {name}: draw {seed + 1} of {draws}")
            outcomes.append(_outcome(trial(seed), vectors))
        made += _calibrated(name, outcomes)
    return made + _stream(_questions(sets), vectors, draws, progress)


def _trials(
    sets: dict[str, Callable[[], Iterator[Row]]],
) -> dict[str, Callable[[int], Trial]]:
    bank, clinc = banking77(sets["banking77"]()), clinc150(sets["clinc150"]())
    questions = _questions(sets)
    titles = [(row["title"], row["label"]) for row in sets["stackoverflow_short"]()]
    callers = [(row["utterance"], row["intent"]) for row in sets["dstc11_intents"]()]
    return {
        "banking77": lambda seed: _trial(bank, seed),
        "clinc150": lambda seed: _trial(clinc, seed),
        "memprompt": lambda seed: _trial(divided(questions, seed), seed),
        "stackoverflow_short": lambda seed: _trial(divided(titles, seed), seed),
        "dstc11_intents": lambda seed: _trial(divided(callers, seed), seed),
    }


def _questions(sets: dict[str, Callable[[], Iterator[Row]]]) -> list[tuple[str, str]]:
    rows = (row for row in sets["memprompt"]() if row["file"] == "sim/all")
    return list({row["ques"]: (row["ques"], row["type"]) for row in rows}.values())


def _trial(labelled: LabelledTexts, seed: int) -> Trial:
    """Draw a project; what belongs nowhere is as frequent before as it is now."""
    draw = random.Random(f"trial {seed}")
    remembered: Pairs = []
    rest: Pairs = []
    for label, texts in labelled.known.items():
        shuffled = draw.sample(texts, len(texts))
        remembered += [(text, label) for text in shuffled[:REMEMBERED]]
        rest += [(text, label) for text in shuffled[REMEMBERED:]]
    pool = [text for text, _ in draw.sample(rest, min(POOL, len(rest)))]
    count = BEFORE
    if labelled.strange:
        strange = sum(label is None for _, label in labelled.asked)
        count = len(labelled.strange) * (len(labelled.asked) - strange) // strange
    before = draw.sample(rest, min(count, len(rest))) + [(text, None) for text in labelled.strange]
    return Trial(remembered, draw.sample(before, len(before)), labelled.asked, pool)


def _outcome(trial: Trial, vectors: TextVectors) -> Outcome:
    items = [Item(text=text, group=label or "") for text, label in trial.remembered]
    kept = vectors.of([item.text for item in items])
    pool = vectors.of(trial.pool)
    gate = _gate(items, trial.before, vectors, pool)
    memory = Memory([item.text for item in items], kept, [item.group for item in items], pool)
    return _judged(gate, memory, trial.now, vectors)


def _gate(
    items: Sequence[Item], before: Pairs, vectors: TextVectors, pool: np.ndarray
) -> Calibration:
    asked = [
        Asked(text=text, groups=frozenset([label] if label else []), user=f"user {at}")
        for at, (text, label) in enumerate(before)
    ]
    held = hold_out(
        items, vectors.of([item.text for item in items]), asked,
        vectors.of([one.text for one in asked]), pool,
    )  # fmt: skip
    return calibrate(held, model="bench")


def _judged(calibration: Calibration, memory: Memory, now: Pairs, vectors: TextVectors) -> Outcome:
    features, groups = weigh(memory, [text for text, _ in now], vectors.of([t for t, _ in now]))
    scores = features @ np.asarray(calibration.gate.weights)
    wrong = np.array([group != label for group, (_, label) in zip(groups, now, strict=True)])
    passed = np.array([calibration.gate.fits(float(score)) for score in scores])
    return Outcome(float(passed.mean()), float((passed & wrong).mean()), _possible(scores, wrong))


def _possible(scores: np.ndarray, wrong: np.ndarray) -> float:
    """Return the most that one threshold could answer within the bound."""
    order = np.argsort(-scores, kind="stable")
    within = np.flatnonzero(np.cumsum(wrong[order]) <= BOUND * len(scores))
    return (int(within[-1]) + 1) / len(scores) if len(within) else 0.0


def _calibrated(name: str, outcomes: Sequence[Outcome]) -> list[Figure]:
    answered = float(np.mean([one.answered for one in outcomes]))
    possible = float(np.mean([one.possible for one in outcomes]))
    shares = [one.answered / max(one.possible, 1e-9) for one in outcomes]
    return [
        _mean(
            f"calibrated_wrong_rate_{name}", [one.wrong for one in outcomes], target=MOST_WRONG,
            better="lower", note=f"bound {BOUND:.0%} of all queries; "
            f"{sum(one.wrong > MOST_WRONG for one in outcomes)} of {len(outcomes)} draws above "
            f"{MOST_WRONG:.0%}",
        ),
        _mean(
            f"calibrated_answered_share_{name}", shares, target=LEAST_ANSWERED,
            note=f"answered {answered:.3f}; the best threshold in hindsight {possible:.3f}",
        ),
    ]  # fmt: skip


def _stream(
    questions: list[tuple[str, str]], vectors: TextVectors, draws: int, progress: Progress
) -> list[Figure]:
    """Ask about words; some of the first questions are clarified, and then the rest is asked."""
    made: list[Figure] = []
    for chance in CLARIFIED:
        rights, wrongs = [], []
        for seed in range(draws):
            progress(f"memprompt, {chance:.0%} clarified: draw {seed + 1} of {draws}")
            right, wrong = _streamed(questions, chance, seed, vectors)
            rights.append(right)
            wrongs.append(wrong)
        suffix = "" if chance == CLARIFIED[0] else f"_{round(chance * 100)}"
        target: dict[str, Any] = {} if suffix else {"target": 0.95}
        note = f"{chance:.0%} of the first {STREAM:,} questions clarified, the others asked then"
        made.append(_mean(f"memprompt_right{suffix}", rights, note=note, **target))
        target = {} if suffix else {"target": 0.02}
        made.append(_mean(f"memprompt_wrong{suffix}", wrongs, better="lower", note=note, **target))
    return made


def _streamed(
    questions: list[tuple[str, str]], chance: float, seed: int, vectors: TextVectors
) -> tuple[float, float]:
    """Return how many questions got the right clarification, and a wrong one.

    Every question is an end user's of their own; each clarified one is remembered, and held out.
    """
    draw = random.Random(f"stream {seed}")
    order = draw.sample(questions, len(questions))
    clarified = [pair for pair in order[:STREAM] if draw.random() < chance]
    items = [
        Item(text=text, group=label, user=f"user {at}")
        for at, (text, label) in enumerate(clarified)
    ]
    pool = vectors.of([text for text, _ in order[:STREAM]])
    gate = _gate(items, list(clarified), vectors, pool)
    memory = Memory(
        [item.text for item in items], vectors.of([item.text for item in items]),
        [item.group for item in items], pool,
    )  # fmt: skip
    done = _judged(gate, memory, list(order[STREAM:]), vectors)
    return done.answered - done.wrong, done.wrong


def _mean(name: str, values: Sequence[float], **others: Any) -> Figure:
    numbers = np.asarray(values, np.float64)
    found = mean(float(numbers.sum()), float((numbers**2).sum()), len(numbers))
    assert found is not None  # there is at least one draw
    return Figure(
        name=name,
        value=found.value,
        unit="share",
        n=found.n,
        low=found.low,
        high=found.high,
        **others,
    )
