"""Calibrate each project's recall gate as its data grow, and hand it to what gives lessons."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import structlog

from teachback.core.choose import ExactGate, Gate, Match, fingerprint
from teachback.core.gate import FEATURES, CalibratedGate
from teachback.core.memory import POOL, Floats, Memory
from teachback.model.recall import Rules
from teachback.recall.gate import Asked, Calibration, Item, calibrate, hold_out
from teachback.stats.abstention import Step, loosest
from teachback.store import calibrations as store
from teachback.store import projects
from teachback.store.calibrations import Exchange, Stored, Taught
from teachback.store.database import Database

log = structlog.get_logger()

#: Projects whose gates are kept in memory.
MAX_KEPT = 200


@dataclass(frozen=True, slots=True)
class Learned:
    """What a project has learned, as it is compared with queries."""

    items: tuple[Item, ...]
    vectors: Floats
    #: Lesson id → its problem: lessons for one situation, or from one exchange, are of one.
    problems: dict[str, str]
    #: Trace id → problems that it taught something about.
    taught: dict[str, frozenset[str]]


class Calibrating:
    """Calibrates one project after the other, with one model."""

    def __init__(self, model: str) -> None:
        self._model = model

    async def __call__(self, db: Database) -> int:
        """Calibrate a project that has grown or changed; return how many there were."""
        due = await store.find_due(db, self._model)
        if due is None:
            return 0
        learned = learn(await store.list_taught(db, due.project_id, self._model))
        asked = await store.list_asked(db, due.project_id, self._model)
        made = await asyncio.to_thread(_calibrated, learned, asked, self._model)
        await store.save_calibration(db, due, _stored(made))
        return 1


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A stored calibration under the project's bound."""

    stored: Stored
    bound: float
    curve: tuple[Step, ...]
    #: Where the gate stands; None when it is shut.
    step: Step | None

    @property
    def gate(self) -> CalibratedGate:
        return CalibratedGate(
            model=self.stored.model,
            weights=tuple(self.stored.weights.get(name, 0.0) for name in FEATURES),
            threshold=self.step.threshold if self.step else None,
        )


async def find_calibrated(
    db: Database, project_id: str, model: str, rules: Rules
) -> Calibrated | None:
    """Return the project's calibration with a model under its bound, if it has been made."""
    stored = await store.find_calibration(db, project_id, model)
    if stored is None:
        return None
    curve = tuple(Step(*step) for step in stored.curve)
    return Calibrated(stored, rules.bound, curve, loosest(curve, rules.bound))


class LessonGate:
    """Lets pass what is equal, and for a query the lessons of the problem that it belongs to."""

    def __init__(self, gate: CalibratedGate, problems: dict[str, str], memory: Memory) -> None:
        """`problems` has the problem of each lesson, `memory` what is remembered of them."""
        self._gate, self._problems, self._memory = gate, problems, memory

    @classmethod
    def of(cls, gate: CalibratedGate, learned: Learned, pool: Floats) -> LessonGate:
        """Make the gate of what was learned; `pool` has vectors of other queries."""
        texts = [item.text for item in learned.items]
        groups = [item.group for item in learned.items]
        return cls(gate, learned.problems, Memory(texts, learned.vectors, groups, pool))

    def at(self, gate: CalibratedGate) -> LessonGate:
        """Return it with another threshold."""
        return LessonGate(gate, self._problems, self._memory)

    def __repr__(self) -> str:
        """Differ as soon as anything differs that decides: snapshots are told apart by it."""
        return f"LessonGate({self._gate}, {sorted(self._problems.items())})"

    @property
    def by_meaning(self) -> bool:
        """It looks at more than equal words."""
        return True

    def fits(self, match: Match) -> bool:
        """Tell whether the match is equal: more is known when a query is asked about."""
        return match.exact

    def asked(self, query: str, vector: Floats, matches: Sequence[Match]) -> Gate:
        """Return the gate for one query, by the lessons that come near it."""
        near = [self._problems.get(match.lesson.id) for match in matches]
        best = self._memory.find(query, vector, [problem for problem in near if problem])
        if best is None or not self._gate.fits(self._gate.score(best)):
            return self
        return _ProblemGate(self._problems, best.group)


@dataclass(frozen=True, slots=True)
class _ProblemGate:
    problems: dict[str, str]
    problem: str

    @property
    def by_meaning(self) -> bool:
        return True

    def fits(self, match: Match) -> bool:
        return match.exact or self.problems.get(match.lesson.id) == self.problem


def gate_for(gate: Gate, query: str, vector: Floats | None, matches: Sequence[Match]) -> Gate:
    """Return what decides about the matches of one query."""
    if isinstance(gate, LessonGate) and vector is not None:
        return gate.asked(query, vector, matches)
    return gate


class Gates:
    """Gives each project its gate; what has not been calibrated lets equal texts pass alone.

    To make one takes seconds where there are thousands of lessons, and a lesson that is killed has
    to be gone sooner: so the last one holds until the next is ready. That is harmless, since what
    is in force is looked up elsewhere.
    """

    def __init__(self, db: Database, model: str | None) -> None:
        self._db, self._model = db, model
        self._kept: OrderedDict[str, tuple[datetime, LessonGate]] = OrderedDict()
        self._making: dict[str, asyncio.Task[None]] = {}
        #: Told the project whose gate is ready, so that it is asked for again.
        self.on_ready: Callable[[str], None] = _nothing

    async def __call__(self, project_id: str) -> Gate:
        """Return the gate as it is now; raises Unavailable."""
        if self._model is None:
            return ExactGate()
        rules = await projects.get_rules(self._db, project_id)
        found = await find_calibrated(self._db, project_id, self._model, rules)
        if found is None or found.step is None:
            return ExactGate()
        made_at, kept = self._kept.get(project_id, (None, None))
        if made_at != found.stored.made_at and project_id not in self._making:
            self._making[project_id] = asyncio.create_task(self._make(project_id, found))
        if kept is None or made_at != found.stored.made_at:
            return kept or ExactGate()
        return kept.at(found.gate)

    async def settled(self) -> None:
        """Wait until no gate is being made."""
        await asyncio.gather(*self._making.values())

    async def _make(self, project_id: str, found: Calibrated) -> None:
        try:
            assert self._model is not None  # asked for before
            learned = learn(await store.list_taught(self._db, project_id, self._model))
            pool = pool_of(await store.list_asked(self._db, project_id, self._model))
            gate = await asyncio.to_thread(LessonGate.of, found.gate, learned, pool)
        except Exception as error:  # the last one holds, and the next reading tries again
            log.warning("gate not made", error=type(error).__name__)
            return
        finally:
            del self._making[project_id]
        self._kept[project_id] = found.stored.made_at, gate
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        self.on_ready(project_id)


def _nothing(_: str) -> None:
    """Tell nobody."""


def learn(taught: Sequence[Taught]) -> Learned:
    """Put what was taught into problems: lessons with one situation or one exchange in common."""
    problems = _problems(taught)
    items: dict[tuple[str, str, str | None], Floats] = {}
    of: dict[str, set[str]] = {}
    for one in taught:
        owners = {exchange.owner for exchange in one.exchanges}
        # What one end user alone has given rise to is held out together with them.
        owner = owners.pop() if len(owners) == 1 else None
        if one.vector is not None:
            items[one.situation, problems[one.lesson_id], owner] = one.vector
        for exchange in one.exchanges:
            items[exchange.query, problems[one.lesson_id], exchange.owner] = exchange.vector
            of.setdefault(exchange.trace_id, set()).add(problems[one.lesson_id])
    return Learned(
        tuple(Item(text=text, group=group, user=user) for text, group, user in items),
        _rows(list(items.values())), problems,
        {trace_id: frozenset(groups) for trace_id, groups in of.items()},
    )  # fmt: skip


def pool_of(asked: Sequence[Exchange]) -> Floats:
    """Return vectors of the newest queries, of which nothing else is asked."""
    return _rows([one.vector for one in asked[:POOL]])


def _calibrated(learned: Learned, asked: Sequence[Exchange], model: str) -> Calibration:
    nothing: frozenset[str] = frozenset()
    queries = [
        Asked(text=one.query, groups=learned.taught.get(one.trace_id, nothing), user=one.owner)
        for one in asked
    ]
    rows = _rows([one.vector for one in asked])
    held = hold_out(learned.items, learned.vectors, queries, rows, pool_of(asked))
    return calibrate(held, model=model)


def _stored(made: Calibration) -> Stored:
    return Stored(
        model=made.gate.model,
        made_at=datetime.now(UTC),
        weights=dict(zip(FEATURES, made.gate.weights, strict=True)),
        queries=made.queries,
        curve=[(step.threshold, step.answered, step.wrong, step.upper) for step in made.curve],
    )


def _rows(vectors: Sequence[Floats]) -> Floats:
    rows: Floats = np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 1), np.float32)
    # Kept in half precision: not quite of unit length any more.
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Floats = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return units


def _problems(taught: Sequence[Taught]) -> dict[str, str]:
    """Return each lesson's problem, named after the first of its lessons."""
    leader: dict[str, str] = {}

    def find(lesson_id: str) -> str:
        while leader[lesson_id] != lesson_id:
            lesson_id = leader[lesson_id]
        return lesson_id

    first: dict[tuple[str, str], str] = {}
    for one in taught:
        leader[one.lesson_id] = one.lesson_id
        for sign in _signs(one):
            other = find(first.setdefault(sign, one.lesson_id))
            own = find(one.lesson_id)
            leader[max(own, other)] = min(own, other)
    return {one.lesson_id: find(one.lesson_id) for one in taught}


def _signs(one: Taught) -> Iterable[tuple[str, str]]:
    yield "situation", fingerprint(one.situation)
    for exchange in one.exchanges:
        yield "exchange", exchange.trace_id
