"""How long a request waits for lessons: in the server, and in an application with local recall.

Part of the suite `recall`. Every query differs from every other, and none is a lesson's situation.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from teachback.bench.progress import Progress
from teachback.bench.records import words
from teachback.bench.report import Figure
from teachback.core.choose import CosineGate, Gate
from teachback.core.compose import into_messages
from teachback.errors import SetupError
from teachback.llm.minilm import MiniLM
from teachback.model.ids import new_id
from teachback.model.lesson import Lesson, LessonKind, LessonVersion, Scope
from teachback.model.recall import Ask, Rules
from teachback.recall.inject import Injector
from teachback.recall.live import Live
from teachback.record.access import make_project
from teachback.store.database import Database
from teachback.store.embedded import start
from teachback.store.lessons import add_lesson, add_version, changing, save_lesson
from teachback.store.migrations import migrate

LESSONS = 10_000
#: Requests that are measured, after some that are not.
QUERIES, WARM_UP = 2_000, 50
KINDS: tuple[LessonKind, ...] = ("guidance", "fact", "template", "example")
ROLES = ("admin", "owner", "guest")
#: Near enough for many of the made-up queries, so that something is chosen and composed for them.
THRESHOLD = 0.6
MESSAGES = [{"role": "system", "content": "You help."}, {"role": "user", "content": "?"}]


def figures(folder: Path, *, quick: bool, progress: Progress) -> list[Figure]:
    """Measure the server's part, then the application's."""
    lessons, queries = (1_000, 200) if quick else (LESSONS, QUERIES)
    with start(folder / "inject") as server:
        migrate(server.dsn)
        times, given = asyncio.run(_in_server(server.dsn, lessons, queries, progress))
    progress(f"local recall: {queries:,} queries over {lessons:,} lessons")
    edge, found = _application(lessons, queries)
    about = f"{lessons:,} live lessons in four kinds and four scopes, every query new"
    server_note = f"{about}; {given:.0%} of the queries were given something; embedding included"
    return [
        _figure("inject_10k_p50_ms", times, 0.5, 3.0, server_note),
        _figure("inject_10k_p99_ms", times, 0.99, 8.0, server_note),
        _figure("edge_p99_ms", edge, 0.99, 1.5,
                f"{about}; {found:.0%} were given something; in a process of its own"),
    ]  # fmt: skip


def _figure(name: str, times: Sequence[float], share: float, target: float, note: str) -> Figure:
    ordered = sorted(times)
    return Figure(
        name=name, value=ordered[int(len(ordered) * share)], unit="ms", n=len(ordered),
        low=ordered[0], high=ordered[-1], target=target, better="lower", note=note,
    )  # fmt: skip


def lessons_for(project_id: str, count: int) -> Iterator[Lesson]:
    """Make lessons for different situations."""
    draw = random.Random(7)
    now = datetime.now(UTC)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        scope = Scope() if number % 4 else Scope(roles=(draw.choice(ROLES),))
        yield Lesson(
            id=f"l{number}", project_id=project_id, kind=kind, state="live", version=1, latest=1,
            situation=words(draw, draw.randint(5, 14)), text=words(draw, 30),
            answer=words(draw, 40) if kind == "example" else None, scope=scope,
            priority=0, author="bench", approved_at=now, created_at=now,
            updated_at=now - timedelta(days=draw.uniform(0, 300)),
        )  # fmt: skip


def asks(count: int) -> Iterator[Ask]:
    """Make requests of different end users."""
    draw = random.Random(11)
    for number in range(count):
        yield Ask(
            query=words(draw, draw.randint(5, 14)), user_id=f"u{number}", trace_id=f"t{number}",
            role=draw.choice(ROLES),
        )  # fmt: skip


async def open_gate(_: str) -> Gate:
    """Return a gate that looks at meaning, whatever the project."""
    return CosineGate(THRESHOLD)


async def _in_server(
    dsn: str, lessons: int, queries: int, progress: Progress
) -> tuple[list[float], float]:
    """Return the milliseconds of each request, and the share that was given something."""
    db, embedder = Database(dsn), MiniLM()
    await db.open()
    live = Live(db, embedder, dsn=dsn, gates=open_gate)
    injector = Injector(db, live, embedder)
    await injector.start()
    await live.start()
    project = await make_project(db, "Bench")
    progress(f"keeping {lessons:,} lessons")
    await _keep(db, project.id, list(lessons_for(project.id, lessons)))
    while (await live.get(project.id)).waiting:
        progress(f"{(await live.get(project.id)).waiting:,} situations wait for vectors")
        await asyncio.sleep(1)
    progress(f"injecting: {queries:,} queries over {lessons:,} lessons")
    times: list[float] = []
    outcomes: list[str] = []
    for ask in asks(WARM_UP + queries):
        begun = time.perf_counter()
        done = await injector.inject(project.id, ask)
        into_messages(MESSAGES, done.text)
        times.append((time.perf_counter() - begun) * 1_000)
        outcomes.append(done.outcome)
    await live.stop()
    await injector.stop()
    await db.close()
    nothing = sum(outcome in ("nothing_fits", "late", "failed") for outcome in outcomes[WARM_UP:])
    return times[WARM_UP:], 1 - nothing / queries


async def _keep(db: Database, project_id: str, lessons: Sequence[Lesson]) -> None:
    """Keep lessons as they are: approving ten thousand by hand is not what is measured."""
    async with changing(db, project_id) as connection, connection.pipeline():
        for one in lessons:
            await add_lesson(connection, one)
            wording = LessonVersion(
                version=1, situation=one.situation, text=one.text, answer=one.answer,
                scope=one.scope, author=one.author, created_at=one.created_at,
                approved_at=one.approved_at,
            )  # fmt: skip
            await add_version(connection, project_id, one.id, wording)
            await save_lesson(connection, one)


def _application(lessons: int, queries: int) -> tuple[list[float], float]:
    """Run an application with local recall in its own process."""
    command = [sys.executable, "-m", "teachback.bench.edge", str(lessons), str(queries)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SetupError(f"the measured application failed: {ended.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer["times"], answer["given"]


def live_body(lessons: int) -> dict[str, Any]:
    """Return what a server would tell an application of these lessons."""
    project_id = new_id()
    told = ("id", "kind", "state", "version", "situation", "text", "answer", "scope", "priority",
            "approved_at", "updated_at")  # fmt: skip
    return {
        "salt": project_id,
        "rules": Rules().flat(),
        "lessons": [
            {name: getattr(one, name) for name in told}
            for one in lessons_for(project_id, lessons)
        ],
    }  # fmt: skip
