"""The product on databases that users bring: old, new, pooled, and unfit."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from support.servers import newest, oldest, pooler, postgres, too_old
from support.wire import Wire, rating, trace
from teachback.bench.product import COMMAND, Product, running, scratch

pytestmark = pytest.mark.matrix


def _assert_records(product: Product) -> None:
    """A trail with every kind of write goes in and comes back."""
    wire = Wire(product.port, product.key())
    asked = [trace(session_id="s", spans=[{"id": "a", "name": "search"}]) for _ in range(50)]
    judged = [rating(one["id"], author="alice", score=score) for one in asked for score in (0, 1)]
    answer = wire.post("/v1/batch", {"traces": asked, "feedback": judged})
    assert (answer.status, answer.json["stored"]) == (200, 150)
    for one in asked:
        kept = wire.trace(one["id"])
        assert kept["spans"][0]["name"] == "search"
        assert len(kept["feedback"][0]["history"]) == 1
    assert wire.get("/v1/sessions/s").status == 200


@pytest.mark.parametrize("programs", [oldest, newest])
def test_product_works_on_a_database_of_the_users(
    programs: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest supported version and the newest."""
    with postgres(programs()) as address, scratch() as folder:
        monkeypatch.setenv("DATABASE_URL", address)
        with running(folder / "data") as product:
            assert product.postmaster() is None
            _assert_records(product)


def test_product_works_behind_a_pooler_in_transaction_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """PgBouncer hands every transaction to another server session; nothing may rely on one."""
    with postgres(newest()) as address, pooler(address) as pooled, scratch() as folder:
        monkeypatch.setenv("DATABASE_URL", pooled)
        monkeypatch.setenv("TEACHBACK_DATABASE_DIRECT_URL", address)
        monkeypatch.setenv("TEACHBACK_DATABASE_POOLER", "true")
        with running(folder / "data") as product:
            _assert_records(product)
        with running(folder / "data") as product:
            _assert_records(product)


def _refusal(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `teachback serve` says when it does not start."""
    monkeypatch.setenv("DATABASE_URL", address)
    command = [str(COMMAND), "serve", "--port", "0", "--data-dir", str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_start_is_refused_when_the_server_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version found and the one needed."""
    with postgres(too_old()) as address:
        assert "16 or newer is needed" in _refusal(address, tmp_path, monkeypatch)


def test_start_is_refused_with_the_remedy_when_the_database_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsafe, of another encoding, or closed to us: each with the statement that mends it."""
    with postgres(newest(), "fsync=off") as address:
        assert "ALTER SYSTEM SET fsync = on" in _refusal(address, tmp_path, monkeypatch)
    with postgres(newest(), encoding="LATIN1") as address:
        assert "ENCODING 'UTF8'" in _refusal(address, tmp_path, monkeypatch)
    with postgres(newest()) as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("create role app login")
        refusal = _refusal(address.replace("postgres@", "app@"), tmp_path, monkeypatch)
        assert "GRANT CREATE ON SCHEMA public" in refusal


def test_backup_restores_elsewhere_when_taken_during_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pg_dump while clients write; the restored copy serves everything acknowledged before."""
    programs = newest()
    with postgres(programs) as first, postgres(programs) as second, scratch() as folder:
        monkeypatch.setenv("DATABASE_URL", first)
        with running(folder / "one") as product:
            wire = Wire(product.port, product.key())
            before = [trace() for _ in range(500)]
            assert wire.post("/v1/traces", {"data": before}).status == 200
            dump = subprocess.Popen([programs / "pg_dump", "-Fc", "-f", folder / "dump", first])
            while dump.poll() is None:
                assert wire.post("/v1/traces", trace()).status == 201
            assert dump.returncode == 0
            key = wire.key
        restore = [str(programs / "pg_restore"), "--exit-on-error", "-d", second]
        subprocess.run([*restore, str(folder / "dump")], check=True)
        monkeypatch.setenv("DATABASE_URL", second)
        # The pepper of the keys lies beside the database: a backup is both.
        (folder / "two").mkdir()
        (folder / "two" / "secret.key").write_bytes((folder / "one" / "secret.key").read_bytes())
        with running(folder / "two") as product:
            wire = Wire(product.port, key)
            assert [wire.trace(one["id"])["query"] for one in before[:50]]
            assert wire.post("/v1/traces", {"data": before}).json["duplicates"] == 500
