"""Applications on an embedded server, started and killed by tests, and what they leave behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
import pytest

from teachback.store.embedded import EmbeddedServer
from teachback.store.engine import Account

APP = Path(__file__).with_name("embedded_app.py")
#: How long a test waits for other processes before it fails, in seconds.
WITHIN_S = 60.0


class App:
    """An application process on the embedded server."""

    def __init__(self, home: Path, role: str = "hold", **options: Any) -> None:
        python = options.pop("python", sys.executable)
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(APP), str(home), role],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end(signal.SIGKILL)

    def says(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        facts: dict[str, Any] = json.loads(line) if line.endswith("\n") else {}
        return facts

    def leave(self) -> int:
        """End it as users do: it stops the server if it is the last."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(WITHIN_S)

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(WITHIN_S)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def home() -> Iterator[Path]:
    """A short, empty data directory, where nothing runs any more when the test is over."""
    path = Path(tempfile.mkdtemp(prefix="tb-"))
    yield path
    left = [] if eventually(lambda: not running(path)) else running(path)
    for process in left:
        process.kill()
    shutil.rmtree(path)
    assert left == []


def running(home: Path) -> list[psutil.Process]:
    """Return every process of the server of `home`: the keeper, the postmaster, its children."""
    return [process for process in psutil.process_iter() if _belongs(process, home)]


def is_keeper(process: psutil.Process) -> bool:
    return "keeper.py" in " ".join(process.cmdline())


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.name().startswith("postgres"):
            return bool(process.cwd() == str(home / "postgres"))
        return is_keeper(process) and str(home) in process.cmdline()
    except psutil.Error:
        return False


def eventually(happens: Callable[[], object]) -> bool:
    """Wait for what other processes do; False when it does not happen."""
    deadline = time.monotonic() + WITHIN_S
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def postmaster(home: Path) -> int:
    try:
        return int((home / "postgres/postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0


def keeper(home: Path) -> int:
    words = (home / "keeper.lock").read_text().split()
    return int(words[0]) if words and words[1] == "running" else 0


def numbers(server: EmbeddedServer) -> list[int]:
    with psycopg.connect(server.dsn) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM written ORDER BY 1")]


def answers(server: EmbeddedServer) -> bool:
    try:
        with psycopg.connect(server.dsn) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def dsn_of(home: Path) -> str:
    return f"host={home / 'run'} user=teachback dbname=teachback"


def other_user(path: Path) -> dict[str, Any]:
    """Say how to start Python as an ordinary user who owns `path`; skip where none can run it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    account = Account(name=nobody.pw_name, uid=nobody.pw_uid, gid=nobody.pw_gid)
    same = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    needed = [Path(psycopg.__file__), APP]
    pythons = [sys.executable, same]
    found = [p for p in pythons if Path(p).exists() and not account.blocked_by(Path(p).resolve())]
    if not found or any(account.blocked_by(item.parent) for item in needed):
        pytest.skip("an ordinary user may not read this checkout or run its Python")
    os.chown(path, nobody.pw_uid, nobody.pw_gid)
    paths = [
        item for item in sys.path if item and Path(item).is_dir() and "lib-dynload" not in item
    ]
    site = [item for item in paths if "site-packages" in item or item.endswith("src")]
    environment = {"PYTHONPATH": ":".join(site), "PATH": "/usr/bin:/bin"}
    return {"python": found[0], "user": "nobody", "group": nobody.pw_gid, "extra_groups": [],
            "env": environment, "cwd": "/"}  # fmt: skip
