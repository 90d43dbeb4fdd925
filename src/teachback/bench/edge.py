"""An application with local recall, measured in a process of its own."""

from __future__ import annotations

import json
import sys
import time

import msgspec

from teachback.bench.inject import MESSAGES, THRESHOLD, WARM_UP, asks, live_body
from teachback.core.choose import CosineGate
from teachback.core.compose import into_messages
from teachback.sdk.edge import Edge


def measure(lessons: int, queries: int) -> tuple[list[float], float]:
    """Return the milliseconds of each request, and the share that was given something."""
    # Nobody answers there: what is known is what is taken below.
    edge = Edge("http://127.0.0.1:1", "", gate=CosineGate(THRESHOLD))
    edge.stop()
    edge.take(msgspec.json.encode(live_body(lessons)))
    times: list[float] = []
    given = 0
    for number, ask in enumerate(asks(WARM_UP + queries)):
        begun = time.perf_counter()
        done = edge.inject(ask)
        into_messages(MESSAGES, done.text if done else None)
        times.append((time.perf_counter() - begun) * 1_000)
        given += number >= WARM_UP and done is not None and bool(done.chosen)
    return times[WARM_UP:], given / queries


def _main(lessons: str, queries: str) -> None:
    times, given = measure(int(lessons), int(queries))
    sys.stdout.write(json.dumps({"times": times, "given": given}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
