"""Inject: what is added to one request, within milliseconds, and never in its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from teachback.core.choose import Considered, choose
from teachback.core.decide import Injected, Outcome, decide
from teachback.core.nearest import Vectors
from teachback.llm.embed import Embedder
from teachback.model.ids import new_id
from teachback.model.recall import Ask
from teachback.recall.calibration import gate_for
from teachback.recall.live import Live, Snapshot
from teachback.recall.recorder import Recorder
from teachback.store.database import Database
from teachback.store.injections import NewInjection

log = structlog.get_logger()

#: Longest a request waits for lessons; then it goes on without.
BUDGET_S = 0.025
#: Queries that wait for the embedding model; more would all come too late.
MAX_WAITING = 16

OnDone = Callable[[Outcome, float], None]


class Injector:
    """Decides what a request is given, from memory, and records it behind the request."""

    def __init__(
        self, db: Database, live: Live, embedder: Embedder | None, *, on_done: OnDone | None = None
    ) -> None:
        """`on_done` is told what became of each request, and in how many seconds."""
        self.recorder = Recorder(db)
        self._live, self._embedder, self._on_done = live, embedder, on_done
        self._thread = ThreadPoolExecutor(1, "queries")
        self._waiting = 0

    async def start(self) -> None:
        await self.recorder.start()

    async def stop(self) -> None:
        """Store what was injected, then stop."""
        await self.recorder.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def inject(self, project_id: str, ask: Ask, *, record: bool = True) -> Injected:
        """Return what is added to a request; never raises, and takes no longer than the budget.

        Without a trace id the hold-back is drawn anew, and nothing is recorded.
        """
        begun = time.perf_counter()
        drawn = ask if ask.trace_id else replace(ask, trace_id=new_id())
        try:
            async with asyncio.timeout(BUDGET_S):
                done = await self._inject(project_id, drawn)
        except TimeoutError:
            done = Injected(outcome="late")
        except Exception as error:
            log.warning("inject failed", error=type(error).__name__)
            done = Injected(outcome="failed")
        if self._on_done:
            self._on_done(done.outcome, time.perf_counter() - begun)
        if record and ask.trace_id:
            self._record(project_id, ask.trace_id, done)
        return done

    async def consider(self, project_id: str, ask: Ask) -> tuple[Snapshot, list[Considered]]:
        """Return what would be chosen for a query, and of everything near why not the rest.

        For people: it takes its time, is not recorded, and raises Unavailable.
        """
        snapshot = await self._live.get(project_id)
        vector = None
        if self._embedder is not None and snapshot.lessons:
            vector = await self._vector(self._embedder, ask.query)
        found = snapshot.nearest.matches(ask, vector)
        inside = {match.lesson.id for match in found}
        for match in snapshot.nearest.matches(ask, vector, everywhere=True):
            if match.lesson.id not in inside:
                found.append(match)
        gate = gate_for(snapshot.gate, ask.query, vector, found)
        considered = choose(
            found, ask, snapshot.rules, gate=gate, salt=project_id, now=datetime.now(UTC),
            alike=snapshot.nearest.alike,
        )  # fmt: skip
        return snapshot, considered

    async def _inject(self, project_id: str, ask: Ask) -> Injected:
        snapshot = self._live.find(project_id) or await self._live.get(project_id)
        if not snapshot.lessons or not ask.query.strip():
            return Injected(outcome="nothing_fits" if snapshot.lessons else "no_lessons")
        vector = None
        if self._embedder is not None and snapshot.gate.by_meaning:
            if self._waiting >= MAX_WAITING:
                return Injected(outcome="late")
            vector = await self._vector(self._embedder, ask.query)
        matches = snapshot.nearest.matches(ask, vector)
        return decide(
            matches, ask, snapshot.rules, gate=gate_for(snapshot.gate, ask.query, vector, matches),
            salt=project_id, now=datetime.now(UTC), alike=snapshot.nearest.alike,
        )  # fmt: skip

    async def _vector(self, embedder: Embedder, query: str) -> Vectors:
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._thread, embedder.embed, [query])
        # Counted until it is done, also when nobody waits for it any more.
        work.add_done_callback(self._done)
        vectors = await work
        row: Vectors = vectors[0]
        return row

    def _done(self, work: asyncio.Future[Vectors]) -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # told to whoever waits; nobody may

    def _record(self, project_id: str, trace_id: str, done: Injected) -> None:
        now = datetime.now(UTC)
        self.recorder.put(
            [NewInjection(project_id, trace_id, now, injection) for injection in done.injections]
        )
