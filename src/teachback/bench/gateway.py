"""The suite `gateway`: what passing through costs a call, with lessons and recording on.

The same calls go to a provider on this machine, directly and through `teachback serve`; what is
told is the difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from teachback.bench.calls import Plan, Result
from teachback.bench.product import Product, running, scratch
from teachback.bench.progress import Progress
from teachback.bench.provider import CHUNKS
from teachback.bench.records import words
from teachback.bench.report import Figure, over_runs
from teachback.errors import SetupError
from teachback.model.lesson import Lesson, LessonVersion
from teachback.store import projects
from teachback.store.database import Database
from teachback.store.embedded import start
from teachback.store.lessons import add_lesson, add_version, changing, save_lesson

LESSONS = 1_000
RUNS = 5


def run(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure calls at a pace, as many as go, and streams."""
    runs = 2 if quick else RUNS
    with provider() as port, scratch() as folder:
        variables = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        with running(folder / "data", variables) as product:
            known = _teach(product, progress)
            plan = Plan(
                kind="paced", gateway_port=product.port, provider_port=port, key=product.key(),
                calls=300 if quick else 1_500, seed=1, known=known,
            )  # fmt: skip
            paced = [_calls(plan, number, progress) for number in range(runs)]
            flat_out = dataclasses.replace(plan, kind="flat_out", calls=1_000 if quick else 5_000)
            most = [_calls(flat_out, 100 + number, progress) for number in range(runs)]
            streams = dataclasses.replace(plan, kind="streams", calls=20 if quick else 60)
            streamed = [_calls(streams, 200 + number, progress) for number in range(runs)]
            stored = _stored(product, [*paced, *most, *streamed], progress)
    return [*_paced_figures(paced), _most_figure(most, stored), *_stream_figures(streamed)]


@contextlib.contextmanager
def provider() -> Iterator[int]:
    """Run the provider; lend its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "teachback.bench.provider"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate()


def _calls(plan: Plan, seed: int, progress: Progress) -> Result:
    progress(f"{plan.calls:,} calls, {plan.kind.replace('_', ' ')}, run {seed % 100 + 1}")
    line = json.dumps(dataclasses.asdict(dataclasses.replace(plan, seed=seed)))
    ended = subprocess.run(
        [sys.executable, "-m", "teachback.bench.calls"],
        input=line + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise SetupError(f"the caller failed: {ended.stderr[-2000:]}")
    result = Result(**json.loads(ended.stdout))
    if result.failed:
        raise SetupError(f"{result.failed} calls failed")
    return result


def _teach(product: Product, progress: Progress) -> list[str]:
    """Keep lessons in force; return their situations."""
    progress(f"keeping {LESSONS:,} lessons")
    product.key()
    with start(product.data_dir) as server:
        situations = asyncio.run(_keep(server.dsn))
    question = {"query": situations[0], "trace_id": "warm"}
    deadline, raw = time.monotonic() + 60, b""
    while time.monotonic() < deadline:
        status, raw = product.call("POST", "/v1/inject", question)
        if status == 200 and json.loads(raw)["outcome"] in ("injected", "held_back", "holdout"):
            return situations
        time.sleep(0.2)
    raise SetupError(f"no lesson comes into force: {raw[:300]!r}")


async def _keep(dsn: str) -> list[str]:
    """Keep lessons as they are: approving a thousand by hand is not what is measured."""
    db = Database(dsn, max_size=2)
    await db.open()
    project = (await projects.list_projects(db))[0]
    draw, now = random.Random(7), datetime.now(UTC)
    made = [
        Lesson(
            id=f"l{number}", project_id=project.id, kind="fact", state="live", version=1, latest=1,
            situation=words(draw, draw.randint(6, 14)), text=words(draw, 30), author="bench",
            approved_at=now, created_at=now, updated_at=now,
        )
        for number in range(LESSONS)
    ]  # fmt: skip
    async with changing(db, project.id) as connection:
        for one in made:
            await add_lesson(connection, one)
            wording = LessonVersion(
                version=1, situation=one.situation, text=one.text, scope=one.scope,
                author=one.author, created_at=now, approved_at=now,
            )  # fmt: skip
            await add_version(connection, project.id, one.id, wording)
            await save_lesson(connection, one)
    await db.close()
    return [one.situation for one in made]


def _stored(product: Product, results: Sequence[Result], progress: Progress) -> str:
    """Wait until every call has its trace; say how many, and how long the last ones took."""
    progress("waiting for the last traces")
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        waiting = dropped = 0.0
        for line in product.call("GET", "/metrics")[1].decode().splitlines():
            name, _, value = line.rpartition(" ")
            waiting += float(value) if name == "teachback_gateway_waiting" else 0
            dropped += float(value) if name.startswith("teachback_gateway_dropped_total") else 0
        if not waiting:
            calls = sum(len(result.through) for result in results)
            lost = f"{dropped:,.0f} traces lost" if dropped else "no trace lost"
            return f"{calls:,} calls in all, {lost}"
        time.sleep(0.1)
    raise SetupError("the traces of the calls are not stored after a minute")


def at(times: Sequence[float], share: float) -> float:
    """Return a percentile."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _paced_figures(results: Sequence[Result]) -> list[Figure]:
    calls = sum(len(one.through) for one in results)
    injected = sum(one.injected for one in results) / calls
    note = (
        f"added at 100 calls a second beside 100 directly; {LESSONS:,} live lessons, "
        f"{injected:.0%} of the calls got one, half of the questions are new; every call recorded"
    )
    shares: list[tuple[str, float, float, float | None]] = [
        ("gateway_p50_ms", 0.5, 3.0, 7.4), ("gateway_p99_ms", 0.99, 9.0, None)
    ]  # fmt: skip
    return [
        _figure(
            name, [at(one.through, share) - at(one.direct, share) for one in results], "ms",
            calls, target=target, note=note, reference=reference,
            source="LiteLLM 1.106, nothing recalled" if reference else None,
        )
        for name, share, target, reference in shares
    ]  # fmt: skip


def _most_figure(results: Sequence[Result], stored: str) -> Figure:
    return _figure(
        "gateway_requests_per_s", [len(one.through) / one.seconds for one in results], "/s",
        sum(len(one.through) for one in results), target=500, better="higher", reference=137,
        source="LiteLLM 1.106, one worker",
        note=f"32 connections, each sending as soon as it is answered; {stored}",
    )  # fmt: skip


def _stream_figures(results: Sequence[Result]) -> list[Figure]:
    streams = sum(len(one.through) for one in results)
    first = [at(one.first_through, 0.5) - at(one.first_direct, 0.5) for one in results]
    chunks = [(at(one.chunks_through, 0.5) - at(one.chunks_direct, 0.5)) * 1e3 for one in results]
    return [
        _figure("first_byte_ms", first, "ms", streams, target=4.0,
                note="added from the call to the first byte of its answer, median"),
        _figure("chunk_us", chunks, "us", streams * CHUNKS, target=60.0,
                note="added from when a provider writes a chunk to when the client has it, median"),
    ]  # fmt: skip


def _figure(name: str, values: Sequence[float], unit: str, n: int, **more: Any) -> Figure:
    value, low, high = over_runs(values)
    given = {"better": "lower"} | more
    return Figure(name=name, value=value, unit=unit, n=n, low=low, high=high, **given)
