"""The disk is full: writes wait outside, reads go on, and room is all that it takes to recover."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.embedded import dsn_of
from support.wire import Wire, trace
from teachback.bench.product import Product, running, scratch

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(300)]

#: Room for a fresh cluster and several segments of the write-ahead log.
DISK = "256m"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, which a test may fill; skips where none can be mounted."""
    with scratch() as folder:
        disk = folder / "disk"
        disk.mkdir()
        mount = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={DISK},mode=0755",
            "teachback-test",
            str(disk),
        ]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a small file system needs root: {done.stderr.strip()}")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path) -> Path:
    """Take all room that is left."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(b"\0" * 512):
            pass
    assert os.statvfs(disk).f_bavail == 0
    return ballast


class Sender:
    """Writes traces large enough that they need room, and remembers what was acknowledged."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.acknowledged: list[str] = []

    def send(self) -> int:
        record = trace(output=os.urandom(4_000).hex())
        answer = self._wire.post("/v1/traces", record)
        if answer.status == 201:
            self.acknowledged.append(record["id"])
        else:
            assert (answer.status, answer.error["type"]) == (503, "unavailable"), answer.body
            assert int(answer.headers["retry-after"]) >= 1
        return answer.status

    def missing(self) -> list[str]:
        return [
            one for one in self.acknowledged if self._wire.get(f"/v1/traces/{one}").status != 200
        ]


def test_writes_wait_and_reads_go_on_when_the_disk_is_full(small_disk: Path) -> None:
    """503 with Retry-After, never 500; every trail opens; with room again all works by itself."""
    with running(small_disk / "data") as product:
        sender = Sender(Wire(product.port, product.key()))
        for _ in range(20):
            assert sender.send() == 201
        ballast = _fill(small_disk)
        statuses = [sender.send() for _ in range(40)]
        assert statuses[-1] == 503
        assert sender.missing() == []
        ballast.unlink()
        _until_stored(sender)
        assert sender.missing() == []


def test_nothing_is_lost_when_the_log_has_no_room(small_disk: Path) -> None:
    """Without room for its log PostgreSQL stops: we are unready, and come back when there is."""
    with running(small_disk / "data") as product:
        sender = Sender(Wire(product.port, product.key()))
        for _ in range(20):
            assert sender.send() == 201
        ballast = _fill(small_disk)
        _use_up_log(product)
        assert sender.send() == 503
        wire = Wire(product.port, product.key())
        assert (wire.get("/healthz").status, wire.get("/readyz").status) == (200, 503)
        ballast.unlink()
        product.wait("/readyz")
        _until_stored(sender)
        assert sender.missing() == []


def _use_up_log(product: Product) -> None:
    """Begin segments of the write-ahead log until the server stops for want of room."""
    with pytest.raises(psycopg.OperationalError):
        _begin_segments(dsn_of(product.data_dir), 50)


def _begin_segments(dsn: str, number: int) -> None:
    for _ in range(number):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("select pg_logical_emit_message(false, 'x', 'x')")
            connection.execute("select pg_switch_wal()")


def _until_stored(sender: Sender, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while sender.send() != 201:
        assert time.monotonic() < deadline, "writes did not come back"
        time.sleep(0.2)
