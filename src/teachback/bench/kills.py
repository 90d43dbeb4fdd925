"""Kills processes under load and counts what was acknowledged and is gone."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from teachback.bench import machine
from teachback.bench.client import client
from teachback.bench.load import Plan
from teachback.bench.product import Product, running, signal_process

#: How each run ends, in turn.
VICTIMS = ("app", "backend", "postmaster", "worker")
REQUESTS = 200
SIZE = 20


@dataclass(frozen=True, kw_only=True)
class Run:
    """One kill and what it cost."""

    victim: str
    acknowledged: int
    #: Acknowledged records that a second sending did not find.
    lost: int
    #: Requests that were refused or cut off: the kill met the load.
    failed: int
    #: From the kill to the first 200 of /readyz, in seconds.
    recovery_s: float


def kill_runs(data_dir: Path, count: int, *, seed: int) -> Iterator[Run]:
    """Run the product through `count` kills on one data directory, yielding each."""
    draw = random.Random(seed)
    with running(data_dir) as product:
        for number, victim in zip(range(count), cycle(VICTIMS), strict=False):
            yield _run(product, victim, seed=seed + number, after_s=draw.uniform(0.02, 0.3))


def _run(product: Product, victim: str, *, seed: int, after_s: float) -> Run:
    plan = Plan(
        port=product.port,
        key=product.key(),
        connections=4,
        requests=REQUESTS,
        size=SIZE,
        seed=seed,
        patient=True,
    )
    strike = _HOW[victim]
    with client(plan) as load:
        load.begin()
        time.sleep(after_s)
        killed = time.monotonic()
        strike(product)
        product.wait()
        recovery = time.monotonic() - killed
        first = load.result()
        again = load.send()
    acknowledged = first.stored + first.duplicates
    return Run(
        victim=victim,
        acknowledged=acknowledged,
        # An honest server knows every acknowledged record: sent again, it is a duplicate.
        lost=acknowledged - again.duplicates,
        failed=first.failed,
        recovery_s=recovery,
    )


def _kill_app(product: Product) -> None:
    product.kill()
    product.start()  # what a supervisor does


def _kill_worker(product: Product) -> None:
    with product.worker() as worker:
        time.sleep(0.5)
        worker.kill()


def _kill_backend(product: Product) -> None:
    postmaster = product.postmaster()
    assert postmaster is not None
    backends = [
        pid
        for pid in machine.family([postmaster]) - {postmaster}
        if "teachback" in machine.command_line(pid)
    ]
    signal_process(max(backends), signal.SIGKILL)


def _kill_postmaster(product: Product) -> None:
    postmaster = product.postmaster()
    assert postmaster is not None
    signal_process(postmaster, signal.SIGKILL)


_HOW: dict[str, Callable[[Product], None]] = {
    "app": _kill_app,
    "backend": _kill_backend,
    "postmaster": _kill_postmaster,
    "worker": _kill_worker,
}
