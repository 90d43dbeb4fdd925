"""Live lessons in memory: matched without a word to the database, changed within a moment.

Every change of a lesson is told to all processes (LISTEN and NOTIFY); a slow poll makes up for
what a broken line has missed. A lesson that is taken out of force is gone as soon as the next
snapshot stands, which never waits for vectors: those of new lessons are filled in behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import structlog

from teachback.core.choose import ExactGate, Gate
from teachback.core.nearest import Nearest
from teachback.errors import TeachbackError
from teachback.llm.embed import Embedder
from teachback.model.lesson import Lesson
from teachback.model.recall import Rules
from teachback.recall.embedding import stand_back
from teachback.store import lesson_vectors, lessons, projects, vectors
from teachback.store import live as store
from teachback.store.database import Database
from teachback.store.lesson_vectors import Situation
from teachback.store.live import Key, Vector

log = structlog.get_logger()

#: Between two looks for changes that nobody told of; seconds.
POLL_S = 5.0
#: The same while no line to the database is open: a killed lesson is to be gone within a second.
ALONE_POLL_S = 0.5
#: Pause after the model has failed, in seconds.
REST_S = 30.0
#: Lessons read at once.
PART = 250
#: Situations embedded before they are kept; a snapshot with them is made after so many more.
BATCH, SHOW_AFTER = 16, 512
#: Projects and lessons in memory, in all; beyond it those asked for least recently are dropped,
#: and read again when they are asked for. A lesson takes about three kilobytes.
MAX_PROJECTS, MAX_LESSONS = 1_000, 200_000

GateSource = Callable[[str], Awaitable[Gate]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """All that recall needs of a project, as it was at one moment."""

    project_id: str
    nearest: Nearest
    rules: Rules
    gate: Gate
    #: Differs between any two snapshots that differ; the same in every process.
    tag: str
    #: Lessons whose situations have no vectors yet: they are found word for word alone.
    waiting: int = 0

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        return self.nearest.lessons


@dataclass(slots=True)
class _Held:
    """A project in memory."""

    project_id: str
    snapshot: Snapshot | None = None
    lessons: Sequence[Lesson] = ()
    rules: Rules = field(default_factory=Rules)
    gate: Gate = field(default_factory=ExactGate)
    #: What was read of each lesson, under the mark of its last change.
    known: dict[str, tuple[str, Lesson | None]] = field(default_factory=dict)
    vectors: dict[Key, Vector] = field(default_factory=dict)
    #: Counts what was read; a snapshot of an earlier reading is thrown away.
    reading: int = 0
    mark: str | None = None
    #: Something has changed since it was read.
    dirty: bool = True
    #: When the model is asked again after it has failed.
    rest_until: float = 0.0
    loading: asyncio.Task[None] | None = None
    embedding: asyncio.Task[None] | None = None
    #: Set, and then replaced, with every new snapshot.
    changed: asyncio.Event = field(default_factory=asyncio.Event)


async def exact_only(_: str) -> Gate:
    """Return the gate of a project without data to calibrate by."""
    return ExactGate()


class Live:
    """Snapshots of the projects that are asked for, kept up to date."""

    def __init__(
        self, db: Database, embedder: Embedder | None, *, dsn: str, gates: GateSource = exact_only
    ) -> None:
        """Take the address past any pooler: listening needs a server session of its own."""
        self._db, self._embedder, self._dsn, self._gates = db, embedder, dsn, gates
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, "situations", initializer=stand_back)
        self._listening = False

    @property
    def lessons(self) -> int:
        """How many lessons are in memory."""
        return sum(len(held.lessons) for held in self._held.values())

    async def start(self) -> None:
        """Begin to listen, and read the projects that have lessons in force."""
        self._begin(self._listen())
        self._begin(self._poll())
        self._begin(self._preload())

    async def stop(self) -> None:
        """Stop following; what is in memory stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def find(self, project_id: str) -> Snapshot | None:
        """Return the snapshot that is in memory, if there is one."""
        held = self._held.get(project_id)
        if held is None:
            return None
        self._held.move_to_end(project_id)
        return held.snapshot

    async def get(self, project_id: str) -> Snapshot:
        """Return the snapshot, read now when there is none; raises Unavailable."""
        found = self.find(project_id)
        if found is not None:
            return found
        held = self._note(project_id)
        loading = held.loading or self._load(held)
        # One who gives up does not stop it for the others.
        await asyncio.shield(loading)
        if held.snapshot is None:
            raise TeachbackError("the lessons could not be read")
        return held.snapshot

    async def after(self, project_id: str, tag: str | None, wait_s: float) -> Snapshot:
        """Return a snapshot other than the one with this tag, or that one after some seconds."""
        snapshot = await self.get(project_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while snapshot.tag == tag:
                    held = self._note(project_id)
                    await held.changed.wait()
                    snapshot = await self.get(project_id)
        return snapshot

    def refresh(self, project_id: str) -> None:
        """Read a project again, behind whatever asks for it."""
        self._mark(project_id)

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _preload(self) -> None:
        with contextlib.suppress(TeachbackError):
            for project_id in await store.list_in_force(self._db, MAX_PROJECTS // 2):
                self._mark(project_id)

    async def _listen(self) -> None:
        while True:
            try:
                async for project_id in store.listen(self._dsn):
                    self._listening = True
                    # What happened while nobody listened is not known.
                    for one in [project_id] if project_id else list(self._held):
                        self._mark(one)
            except TeachbackError:
                log.warning("lessons are not listened for; polling instead")
            self._listening = False
            await asyncio.sleep(ALONE_POLL_S)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S if self._listening else ALONE_POLL_S)
            names = list(self._held)
            if not names:
                continue
            try:
                marks = await store.read_marks(self._db, names)
            except TeachbackError:
                continue  # what cannot be read has not been seen to change
            for held in list(self._held.values()):
                if held.dirty or marks.get(held.project_id, held.mark) != held.mark:
                    self._mark(held.project_id)
                self._fill(held)

    def _note(self, project_id: str) -> _Held:
        """Return what is held of a project; makes room for it."""
        held = self._held.get(project_id)
        if held is None:
            held = self._held[project_id] = _Held(project_id)
            while len(self._held) > MAX_PROJECTS or self.lessons > MAX_LESSONS:
                if len(self._held) == 1:
                    break
                self._held.popitem(last=False)
        return held

    def _mark(self, project_id: str) -> None:
        held = self._note(project_id)
        held.dirty = True
        if held.loading is None:
            self._load(held)

    def _load(self, held: _Held) -> asyncio.Task[None]:
        held.loading = self._begin(self._read_until_clean(held))
        return held.loading

    async def _read_until_clean(self, held: _Held) -> None:
        try:
            while held.dirty:
                await self._read(held)
        except Exception as error:  # whatever it was, the poll tries again
            held.dirty = True
            log.warning("lessons not read", error=type(error).__name__)
        finally:
            held.loading = None

    async def _read(self, held: _Held) -> None:
        held.dirty = False
        marks = await store.read_marks(self._db, [held.project_id])
        found = await self._changed(held)
        held.rules = await projects.get_rules(self._db, held.project_id)
        held.gate = await self._gates(held.project_id)
        held.lessons, held.mark = found, marks.get(held.project_id)
        held.reading += 1
        keys = [_key(lesson) for lesson in found]
        known = {key: held.vectors[key] for key in keys if key in held.vectors}
        if self._embedder is not None:
            lacking = [key for key in keys if key not in known]
            known |= await store.read_vectors(
                self._db, held.project_id, self._embedder.model, lacking
            )
        held.vectors = known
        await self._show(held)
        self._fill(held)

    async def _changed(self, held: _Held) -> list[Lesson]:
        """Return the lessons in force; only those that have changed are read again."""
        in_force = await lessons.live_marks(self._db, held.project_id)
        lacking = [
            name for name, mark in in_force.items() if held.known.get(name, _NONE)[0] != mark
        ]
        # In parts, so that requests are answered in between.
        for start in range(0, len(lacking), PART):
            part = lacking[start : start + PART]
            for lesson in await lessons.live_lessons(self._db, held.project_id, ids=part):
                held.known[lesson.id] = (in_force[lesson.id], lesson)
        held.known = {
            name: held.known[name]
            for name, mark in in_force.items()
            if held.known.get(name, _NONE)[0] == mark
        }
        return [lesson for _, lesson in held.known.values() if lesson is not None]

    def _fill(self, held: _Held) -> None:
        """Begin to make the vectors that are lacking, unless that goes on or has just failed."""
        rests = time.monotonic() < held.rest_until
        if self._embedder is None or held.embedding is not None or rests or not _lacking(held):
            return
        held.embedding = self._begin(self._embed_all(held, self._embedder))

    async def _show(self, held: _Held) -> None:
        """Make the next snapshot, unless a later reading has come meanwhile."""
        reading, dimensions = held.reading, self._embedder.dimensions if self._embedder else 1
        found, known = held.lessons, dict(held.vectors)
        nearest, tag = await asyncio.to_thread(
            lambda: (_index(found, known, dimensions), _tag(found, held.rules, held.gate))
        )
        if reading != held.reading:
            return
        held.snapshot = Snapshot(
            project_id=held.project_id, nearest=nearest, rules=held.rules, gate=held.gate,
            tag=tag, waiting=len(_lacking(held)),
        )  # fmt: skip
        held.changed.set()
        held.changed = asyncio.Event()

    async def _embed_all(self, held: _Held, embedder: Embedder) -> None:
        """Make vectors for lessons that have none, newest snapshot first."""
        try:
            shown = 0
            while batch := _lacking(held)[:BATCH]:
                await self._embed(held, embedder, batch)
                shown += len(batch)
                if shown >= SHOW_AFTER or not _lacking(held):
                    shown = 0
                    await self._show(held)
        except Exception as error:  # a model may fail in any way
            held.rest_until = time.monotonic() + REST_S
            log.warning("situations not embedded", error=type(error).__name__)
        finally:
            held.embedding = None

    async def _embed(self, held: _Held, embedder: Embedder, batch: Sequence[Lesson]) -> None:
        texts = [lesson.situation for lesson in batch]
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, embedder.embed, texts)
        # In half precision, as they are kept: every process compares with the same numbers.
        halves = rows.astype(np.float16)
        for lesson, row in zip(batch, halves.astype(np.float32), strict=True):
            held.vectors[_key(lesson)] = row
        await lesson_vectors.save_vectors(
            self._db, held.project_id, embedder.model,
            [
                (Situation(lesson_id=one.id, version=one.version, situation=""),
                 vectors.as_vector(row))
                for one, row in zip(batch, halves.astype(np.float64).tolist(), strict=True)
            ],
        )  # fmt: skip


def _key(lesson: Lesson) -> Key:
    return lesson.id, lesson.version


def _lacking(held: _Held) -> list[Lesson]:
    return [lesson for lesson in held.lessons if _key(lesson) not in held.vectors]


def _index(found: Sequence[Lesson], known: dict[Key, Vector], dimensions: int) -> Nearest:
    rows = np.zeros((len(found), dimensions), np.float32)
    for at, lesson in enumerate(found):
        row = known.get(_key(lesson))
        if row is not None and len(row) == dimensions:
            rows[at] = row
    return Nearest(found, rows)


_NONE = ("", None)


def _tag(found: Sequence[Lesson], rules: Rules, gate: Gate) -> str:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(repr((rules, gate)).encode("utf-8", "replace"))
    for lesson in found:
        known = (lesson.id, lesson.version, lesson.state, lesson.updated_at, lesson.superseded_by,
                 lesson.helpful, lesson.harmful)  # fmt: skip
        digest.update(repr(known).encode("utf-8", "replace"))
    return digest.hexdigest()
