"""Processes die, databases go away, and nothing acknowledged is lost."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from support.servers import newest
from support.wire import Answer, Wire, trace
from teachback.bench import machine
from teachback.bench.kills import VICTIMS, kill_runs
from teachback.bench.product import Product, scratch, signal_process


class Writing:
    """Threads that write single traces until told to stop, and remember every answer."""

    def __init__(self, wire: Wire, threads: int = 4) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[Answer] = []
        self.cut: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(wire,)) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, wire: Wire) -> None:
        while not self._stop.is_set():
            record = trace()
            try:
                answer = wire.post("/v1/traces", record)
            except OSError:
                self.cut.append(record["id"])
                time.sleep(0.01)
                continue
            if answer.status // 100 == 2:
                self.acknowledged.append(record["id"])
            else:
                self.refused.append(answer)
            time.sleep(0.005)


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_processes_are_killed() -> None:
    """Each kind of process is killed under load; every 2xx is there afterwards."""
    with scratch() as folder:
        runs = list(kill_runs(folder / "data", len(VICTIMS), seed=1))
    assert [run.victim for run in runs] == list(VICTIMS)
    assert sum(run.acknowledged for run in runs) > 0
    assert [run.lost for run in runs] == [0] * len(runs)


@pytest.mark.matrix
@pytest.mark.timeout(3_600)
def test_nothing_acknowledged_is_lost_over_two_hundred_kills() -> None:
    """The long form: 200 kills, and the data files are sound at the end."""
    with scratch() as folder:
        runs = list(kill_runs(folder / "data", 200, seed=2))
        _assert_sound(folder / "data" / "postgres")
    assert sum(run.lost for run in runs) == 0
    assert sum(run.failed > 0 for run in runs) > 50


def _assert_sound(cluster: Path) -> None:
    """PostgreSQL's own checker finds every page of the stopped cluster whole."""
    checker = newest() / "pg_checksums"
    done = subprocess.run(
        [checker, "--check", "-D", cluster], user=cluster.owner(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_writes_are_refused_and_recover_alone_when_the_database_is_away(
    own_product: Product,
) -> None:
    """503 with Retry-After within seconds while it is gone; service without help afterwards."""
    wire = Wire(own_product.port, own_product.key())
    postmaster = own_product.postmaster()
    assert postmaster is not None
    backends = machine.family([postmaster])
    for pid in backends:
        signal_process(pid, signal.SIGSTOP)
    try:
        answers = _answers_within(lambda: wire.post("/v1/traces", trace()), seconds=30)
        assert wire.get("/healthz").status == 200
    finally:
        for pid in backends:
            signal_process(pid, signal.SIGCONT)
    assert answers == [] or {answer.status for answer in answers} == {503}
    _until(lambda: wire.post("/v1/traces", trace()).status == 201)


def _answers_within(call: Callable[[], Answer], *, seconds: float) -> list[Answer]:
    answers: list[Answer] = []
    caller = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    caller.start()
    caller.join(seconds)
    return list(answers)


def test_clients_are_told_to_wait_when_the_database_restarts(own_product: Product) -> None:
    """Killed PostgreSQL: 503 and Retry-After, never 500; ready again by itself; nothing lost."""
    wire = Wire(own_product.port, own_product.key())
    with Writing(wire) as writing:
        time.sleep(0.5)
        postmaster = own_product.postmaster()
        assert postmaster is not None
        signal_process(postmaster, signal.SIGKILL)
        time.sleep(0.3)
        own_product.wait("/readyz")
        before = len(writing.acknowledged)
        _until(lambda: len(writing.acknowledged) > before + 10)
    assert {answer.status for answer in writing.refused} <= {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in writing.refused)
    assert {wire.trace(one)["id"] for one in writing.acknowledged} == set(writing.acknowledged)
    assert own_product.postmaster() != postmaster


def test_requests_in_flight_are_finished_when_asked_to_stop(own_product: Product) -> None:
    """SIGTERM under load: nobody gets a 5xx, and every 2xx is there after the next start."""
    wire = Wire(own_product.port, own_product.key())
    left = own_product.pids()
    with Writing(wire) as writing:
        time.sleep(0.5)
        own_product.stop()
    assert [answer.status for answer in writing.refused if answer.status != 503] == []
    _until(lambda: not left & machine.processes().keys())
    own_product.start()
    own_product.wait("/readyz")
    assert {wire.trace(one)["id"] for one in writing.acknowledged} == set(writing.acknowledged)


def test_database_ends_with_its_server_when_the_server_is_killed(own_product: Product) -> None:
    """After SIGKILL and a restart there is one postmaster; after a stop there is none."""
    first = own_product.postmaster()
    own_product.kill()
    own_product.start()
    own_product.wait("/readyz")
    postmasters = [
        pid
        for pid in machine.processes()
        if str(own_product.data_dir) in machine.command_line(pid)
        and "postgres" in machine.command_line(pid).split(" ", 1)[0]
    ]
    assert len(postmasters) == 1
    left = own_product.pids() | {pid for pid in (first,) if pid is not None}
    own_product.stop()
    _until(lambda: not left & machine.processes().keys())


def _until(condition: Callable[[], bool], *, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
