"""How long the SDK keeps an application waiting; run as a process of its own, like one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from teachback.bench.product import free_port, running
from teachback.bench.progress import Progress
from teachback.bench.records import SYSTEM_PROMPT, words
from teachback.bench.report import Figure
from teachback.errors import SetupError
from teachback.sdk import Client

#: Requests of the application in a second: busy for one process that waits for a model.
RATE_PER_S = 200
CALLS = ("trace, server up", "feedback, server up", "trace, server dead", "feedback, server dead")


def figures(folder: Path, *, quick: bool, progress: Progress) -> list[Figure]:
    """Measure ending a trace and sending feedback, with a server and without one."""
    requests = 2_000 if quick else 20_000
    progress(f"calling the SDK, server up: {requests:,} requests")
    with running(folder / "data") as product:
        up = _application(product.url, product.key(), folder / "spool-up", requests)
        progress(f"calling the SDK, server dead: {requests:,} requests")
        # Nobody listens on this port: every delivery is refused and everything stays in the spool.
        nowhere = f"http://127.0.0.1:{free_port()}"
        dead = _application(nowhere, product.key(), folder / "spool-dead", requests)
    slowest = dict(zip(CALLS, (*up, *dead), strict=True))
    return [
        Figure(
            name="sdk_call_p99_us", value=max(slowest.values()), unit="µs",
            n=requests * len(slowest), low=min(slowest.values()), high=max(slowest.values()),
            target=200, better="lower", reference=1_000, source="the bar for a dead server",
            note="the slowest of four: "
            + "; ".join(f"{call} {value:.0f}" for call, value in slowest.items())
            + f". The record is in the spool on disk when the call returns; {RATE_PER_S} "
            "requests a second",
        )
    ]  # fmt: skip


def _application(url: str, key: str, spool: Path, requests: int) -> tuple[float, float]:
    """Run an application in its own process; return the 99th percentiles in microseconds."""
    arguments = [url, key, str(spool), str(requests)]
    ended = subprocess.run(
        [sys.executable, "-m", "teachback.bench.sdk_calls", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SetupError(f"the measured application failed: {ended.stderr[-2000:]}")
    traces, feedback = json.loads(ended.stdout)
    return p99(traces), p99(feedback)


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]


def measure(client: Client, requests: int) -> tuple[list[float], list[float]]:
    """Trace requests and give feedback at a steady pace; return the microseconds of each call."""
    draw = random.Random(3)
    traces: list[float] = []
    feedback: list[float] = []
    due = time.perf_counter()
    for number in range(requests):
        due += 1 / RATE_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))
        trace = client.trace(words(draw, 14), user_id=f"u-{number}", session_id=f"s-{number // 3}")
        trace.system_prompt(SYSTEM_PROMPT, name="support", version="3")
        trace.document(words(draw, 45), name=f"doc-{number % 1000}", version="1", score=0.5)
        trace.output = words(draw, 80)
        comment = words(draw, 6)
        traces.append(_microseconds(trace.end))
        group = client.feedback(trace.id, author=f"u-{number}")
        feedback.append(_microseconds(lambda: group.thumbs_down(comment=comment)))  # noqa: B023
    return traces, feedback


def _microseconds(call: object) -> float:
    assert callable(call)
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e6


def _main(url: str, key: str, spool: str, requests: str) -> None:
    client = Client(url, key, spool_dir=spool, flush_timeout_s=1)
    measured = measure(client, int(requests))
    client.close()
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    _main(*sys.argv[1:])
