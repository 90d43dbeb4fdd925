"""Injecting never fails, never waits long, and records what it has done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from conftest import install
from support.lessons import lesson, plant
from teachback.core.choose import CosineGate, Gate
from teachback.core.nearest import Vectors
from teachback.errors import Unavailable
from teachback.llm.embed import Embedder
from teachback.model.recall import Ask
from teachback.recall.inject import BUDGET_S, Injector
from teachback.recall.live import Live
from teachback.recall.recorder import Recorder
from teachback.store import injections as store
from teachback.store import projects
from teachback.store.database import Database

QUERY = "How do I get a refund?"


class Broken:
    """A model that fails, or takes its time."""

    model = "broken"
    dimensions = 8

    def __init__(self, error: Exception | None = None, *, pause_s: float = 0) -> None:
        self._error, self._pause_s = error, pause_s

    def embed(self, texts: Sequence[str]) -> Vectors:
        time.sleep(self._pause_s)
        if self._error:
            raise self._error
        return np.ones((len(texts), 8), np.float32) / np.float32(8**0.5)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than a request would wait."""
    monkeypatch.setattr("teachback.recall.inject.BUDGET_S", 5.0)


@pytest.fixture
async def project_id(db: Database) -> str:
    made = (await install(db)).project.id
    await projects.change_rules(db, made, {"holdout": 0, "propensity": 1})
    return made


async def always(_: str) -> Gate:
    return CosineGate(0.5)


class Bench:
    """An injector with what it counts."""

    def __init__(self, db: Database, dsn: str, embedder: Embedder | None, **gates: Any) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds = 0.0
        self.live = Live(db, embedder, dsn=dsn, **gates)
        self.injector = Injector(db, self.live, embedder, on_done=self._note)

    def _note(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        self.seconds = max(self.seconds, seconds)


@pytest.fixture
async def bench(db: Database, dsn: str) -> AsyncIterator[Bench]:
    made = Bench(db, dsn, None)
    await made.injector.start()
    yield made
    await made.injector.stop()


def ask(**values: Any) -> Ask:
    return Ask(**({"query": QUERY, "trace_id": "t", "user_id": "u"} | values))


@pytest.mark.anyio
async def test_injection_is_recorded_behind_the_request(
    db: Database, bench: Bench, project_id: str
) -> None:
    """With everything that its effect is measured by, under the trace it was for."""
    await plant(
        db, project_id,
        lesson("a", situation=QUERY, text="Within 14 days.", kind="fact", project_id=project_id),
        lesson("b", situation=QUERY, text="Be brief.", project_id=project_id),
    )  # fmt: skip
    done = await bench.injector.inject(project_id, ask())
    assert done.outcome == "injected"
    assert done.text is not None
    assert "| Within 14 days." in done.text
    await bench.injector.stop()
    chosen, left = await store.list_for_trace(db, project_id, "t")
    one = chosen.injection
    assert (one.lesson_id, one.version, one.rank, one.score, one.position) == ("a", 1, 1, 1.0, 1)
    assert (one.variant, one.propensity, one.reason) == ("injected", 1.0, "exact")
    assert one.tokens > 0
    assert (chosen.kind, chosen.text) == ("fact", "Within 14 days.")
    assert (left.injection.position, left.injection.reason) == (None, "one_is_enough")


@pytest.mark.anyio
async def test_nothing_is_recorded_when_nothing_is_chosen(
    db: Database, bench: Bench, project_id: str
) -> None:
    """An empty project, another question, and no question at all."""
    await bench.live.get(project_id)
    assert (await bench.injector.inject(project_id, ask())).outcome == "no_lessons"
    await plant(db, project_id, lesson("a", situation=QUERY, project_id=project_id))
    other = Bench(db, bench.live._dsn, None)
    for query in ("Something else", "", " \n"):
        assert (await other.injector.inject(project_id, ask(query=query))).outcome == "nothing_fits"
    assert (await other.injector.inject(project_id, ask(trace_id=None))).text is not None
    assert other.injector.recorder._waiting == bench.injector.recorder._waiting
    assert not other.injector.recorder._waiting


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("embedder", "outcome"),
    [
        (Broken(Unavailable("away")), "failed"),
        (Broken(RuntimeError("corrupt")), "failed"),
        (Broken(pause_s=0.5), "late"),
    ],
)
async def test_request_goes_on_without_lessons_when_the_model_is_no_use(
    db: Database, project_id: str, monkeypatch: pytest.MonkeyPatch, embedder: Broken, outcome: str
) -> None:
    """Down, broken or slow: nothing is raised, it is counted, and it costs the budget at most."""
    if outcome == "late":
        monkeypatch.setattr("teachback.recall.inject.BUDGET_S", BUDGET_S)
    await plant(db, project_id, lesson("a", situation=QUERY, project_id=project_id))
    bench = Bench(db, db.dsn, embedder, gates=always)
    await bench.live.get(project_id)
    begun = time.monotonic()
    done = await bench.injector.inject(project_id, ask())
    assert (done.outcome, done.text, done.injections) == (outcome, None, ())
    assert bench.outcomes == {outcome: 1}
    assert time.monotonic() - begun < BUDGET_S + 0.2


@pytest.mark.anyio
async def test_crowd_before_a_slow_model_is_let_through(
    db: Database, dsn: str, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would come too late does not even wait."""
    monkeypatch.setattr("teachback.recall.inject.BUDGET_S", BUDGET_S)
    await plant(db, project_id, lesson("a", situation=QUERY, project_id=project_id))
    bench = Bench(db, dsn, Broken(pause_s=0.05), gates=always)
    await bench.live.get(project_id)
    asked = [bench.injector.inject(project_id, ask(trace_id=f"{n}")) for n in range(100)]
    done = await asyncio.gather(*asked)
    assert {one.outcome for one in done} == {"late"}
    assert bench.injector._waiting <= 16


@pytest.mark.anyio
async def test_request_goes_on_when_the_database_is_away(dsn: str, project_id: str) -> None:
    """What is in memory is given; what was never read is not waited for."""
    db = Database(dsn, max_size=2)
    await db.open()
    await plant(db, project_id, lesson("a", situation=QUERY, project_id=project_id))
    bench = Bench(db, dsn, None)
    await bench.injector.start()
    await bench.live.get(project_id)
    await db.close()
    assert (await bench.injector.inject(project_id, ask())).outcome == "injected"
    assert (await bench.injector.inject("another", ask())).outcome in ("failed", "late")
    bench.injector.recorder._task and bench.injector.recorder._task.cancel()


@pytest.mark.anyio
async def test_injections_wait_for_the_database(
    db: Database, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stored when it is back; what cannot be stored is counted, its neighbours are not."""
    monkeypatch.setattr("teachback.recall.recorder.RETRY_S", 0.01)
    away = [True]
    saved = store.save_injections

    async def save(db: Database, rows: Sequence[store.NewInjection]) -> None:
        if away[0]:
            raise Unavailable("away")
        await saved(db, rows)

    monkeypatch.setattr("teachback.recall.recorder.save_injections", save)
    bench = Bench(db, db.dsn, None)
    await plant(db, project_id, lesson("a", situation=QUERY, project_id=project_id))
    recorder: Recorder = bench.injector.recorder
    await recorder.start()
    for trace in ("t1", "bad\x00", "t2"):
        await bench.injector.inject(project_id, ask(trace_id=trace))
    await asyncio.sleep(0.2)
    away[0] = False
    await recorder.stop()
    assert [len(await store.list_for_trace(db, project_id, t)) for t in ("t1", "t2")] == [1, 1]
    assert (recorder.take_lost(), recorder.take_lost()) == (1, 0)


@pytest.mark.anyio
async def test_waiting_injections_are_bounded(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are dropped and counted."""
    monkeypatch.setattr("teachback.recall.recorder.MAX_WAITING", 3)
    recorder = Recorder(db)
    recorder.put([object()] * 2)  # type: ignore[list-item]
    recorder.put([object()] * 2)  # type: ignore[list-item]
    assert (len(recorder._waiting), recorder.take_lost()) == (3, 1)
