"""Background jobs that fail are seen and run again; those of a dead worker go to another."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import AlreadyEnqueued
from psycopg.rows import dict_row
from typer.testing import CliRunner

from conftest import Server
from support import job_worker
from support.job_worker import BROKEN, FAILING, REASON, SLOW
from teachback import cli
from teachback.jobs import RETRY_STALLED
from teachback.store.jobs import queue

WORKER = Path(job_worker.__file__)


@contextmanager
def worker(dsn: str, *stalled_s: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, with the jobs of the tests."""
    process = subprocess.Popen([sys.executable, str(WORKER), dsn, *stalled_s])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _defer(dsn: str, name: str, **arguments: Any) -> int:
    async def defer() -> int:
        async with queue(dsn).open_async() as app:
            return await app.configure_task(name, queueing_lock=name).defer_async(**arguments)

    return asyncio.run(defer())


def _rows(dsn: str, query: str, *params: object) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), params).fetchall()


def _until(condition: Callable[[], object], *, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _status(dsn: str, job_id: int) -> str:
    rows = _rows(dsn, "select status::text from procrastinate_jobs where id = %s", job_id)
    return str(rows[0]["status"])


def _failed(dsn: str, job_id: int) -> bool:
    return _status(dsn, job_id) == "failed"


@pytest.fixture
def teachback(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """The command line on the test's database; returns what it printed."""
    for name in ("DATABASE_URL", "TEACHBACK_DATABASE_DIRECT_URL", "TEACHBACK_DATABASE_POOLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEACHBACK_DATABASE_URL", dsn)
    monkeypatch.setenv("TEACHBACK_DATA_DIR", str(tmp_path))

    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(cli.app, list(words), catch_exceptions=status != 0)
        assert done.exit_code == status, done.output
        return done.stdout

    return run


def test_failed_job_is_listed_with_its_reason_and_runs_again_when_asked(
    dsn: str, teachback: Callable[..., str]
) -> None:
    """Our own words are kept; of foreign errors only class and place, as they may quote content."""
    with worker(dsn):
        failed, broken = _defer(dsn, FAILING), _defer(dsn, BROKEN)
        _until(lambda: _status(dsn, failed) == _status(dsn, broken) == "failed")
    listed = {job["id"]: job for job in json.loads(teachback("jobs", "list", "--failed", "--json"))}
    assert listed.keys() == {failed, broken}
    assert listed[failed]["reason"] == f"Conflict: {REASON}"
    assert listed[broken]["reason"].startswith("RuntimeError in job_worker.py:")
    assert "Charlie" not in json.dumps(listed)
    assert FAILING in teachback("jobs", "list")
    assert teachback("jobs", "retry", str(failed)) == "1 job waits in the queue.\n"
    assert _status(dsn, failed) == "todo"
    assert teachback("jobs", "retry", "--all-failed") == "1 job waits in the queue.\n"
    assert _status(dsn, broken) == "todo"
    with worker(dsn):
        _until(lambda: _status(dsn, failed) == _status(dsn, broken) == "failed")
    attempts = {
        job["id"]: job["attempts"] for job in json.loads(teachback("jobs", "list", "--json"))
    }
    assert attempts[failed] > listed[failed]["attempts"]


def test_retry_is_refused_when_no_failed_job_is_named(teachback: Callable[..., str]) -> None:
    """A wrong id, no id, and an id beside --all-failed."""
    assert teachback("jobs", "retry", "--all-failed") == "0 jobs wait in the queue.\n"
    teachback("jobs", "retry", status=2)
    teachback("jobs", "retry", "1", "--all-failed", status=2)
    teachback("jobs", "retry", "4711", status=1)


def test_one_of_several_failed_twins_runs_again_when_all_are_retried(
    dsn: str, teachback: Callable[..., str]
) -> None:
    """The same periodic work that failed three times needs to be done once."""
    with worker(dsn):
        for _ in range(3):
            job = _defer(dsn, FAILING)
            _until(partial(_failed, dsn, job))
    assert teachback("jobs", "retry", "--all-failed") == "1 job waits in the queue.\n"
    assert len(json.loads(teachback("jobs", "list", "--failed", "--json"))) == 2


def test_metrics_tell_what_the_database_and_its_jobs_do(own_server: Server) -> None:
    """Failed jobs, the oldest that waits, sizes, and the wait for connections, in base units."""
    insert = (
        "insert into procrastinate_jobs (task_name, status, scheduled_at, queue_name, args) "
        "values ('test.nobody', %s, now() - interval '90 s', 'elsewhere', '{}') returning id"
    )
    before = _metrics(own_server)
    for status in ("failed", "failed", "cancelled"):
        _rows(own_server.dsn, insert, status)
    after = _metrics(own_server)
    assert after["teachback_jobs_failed"] - before["teachback_jobs_failed"] == 2
    assert 0 <= after["teachback_job_oldest_waiting_seconds"] < 90
    assert after["teachback_database_bytes"] > 1_000_000
    assert after["teachback_wal_bytes"] >= 16 * 1024 * 1024
    assert after["teachback_pool_wait_seconds_total"] >= 0


def _metrics(server: Server) -> dict[str, float]:
    with server.client() as client:
        text = client.get("/metrics").text
    lines = [line.split(" ") for line in text.splitlines() if not line.startswith("#")]
    return {line[0]: float(line[1]) for line in lines}


def _killed_in_the_middle(dsn: str) -> int:
    """Start a slow job, kill its worker with SIGKILL, and return the job's id."""
    _rows_changed(dsn, job_worker.MARKS)
    with worker(dsn) as first:
        job = _defer(dsn, SLOW, first_s=3_600)
        _until(lambda: _marks(dsn, job) == ["started"])
        first.kill()
        first.wait()
    assert _status(dsn, job) == "doing"
    return job


def _rows_changed(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def _marks(dsn: str, job: int) -> list[str]:
    return [row["what"] for row in _rows(dsn, "select what from mark where job_id = %s", job)]


def test_another_worker_does_the_job_once_when_its_worker_was_killed(dsn: str) -> None:
    """The silent worker counts as dead after a second here; its job is finished once."""
    job = _killed_in_the_middle(dsn)
    time.sleep(1.5)
    with worker(dsn, "1"):
        # At the turn of a minute it waits already, which is as good.
        with suppress(AlreadyEnqueued):
            _defer(dsn, RETRY_STALLED, timestamp=int(time.time()))
        _until(lambda: _status(dsn, job) == "succeeded")
    assert _marks(dsn, job) == ["started", "started", "finished"]


@pytest.mark.matrix
@pytest.mark.timeout(300)
def test_another_worker_takes_over_within_ninety_seconds_when_one_was_killed(dsn: str) -> None:
    """With the product's own times: thirty seconds of silence, and a look every minute."""
    job = _killed_in_the_middle(dsn)
    killed = time.monotonic()
    with worker(dsn):
        _until(lambda: _status(dsn, job) == "succeeded", limit_s=120)
    assert time.monotonic() - killed <= 95
    assert _marks(dsn, job) == ["started", "started", "finished"]
