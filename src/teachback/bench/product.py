"""The installed product as a process: started, watched and stopped as its users do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from teachback.bench import machine
from teachback.errors import SetupError

#: The command of this very installation, wherever it is.
COMMAND = Path(sys.executable).with_name("teachback")
START_LIMIT_S = 60.0
STOP_LIMIT_S = 40.0


class Product:
    """`teachback serve` with default settings on its own data directory and port."""

    def __init__(self, data_dir: Path, variables: Mapping[str, str] | None = None) -> None:
        """Take further environment variables, for what is not default."""
        self.data_dir = data_dir
        self._variables = variables or {}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._key = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data_dir.with_suffix(".log")

    def start(self) -> None:
        """Start the server without waiting for it."""
        command = [
            str(COMMAND),
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--port",
            str(self.port),
        ]
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                # `env` adds to what is there: the environment is read in one place only.
                [
                    "/usr/bin/env",
                    *(f"{name}={value}" for name, value in self._variables.items()),
                    *command,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def wait(self, path: str = "/readyz", limit_s: float = START_LIMIT_S) -> None:
        """Wait until a path answers 200; raises SetupError with the log's end when it does not."""
        deadline = time.monotonic() + limit_s
        last = b"none"
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, last = self.call("GET", path)
                if status == 200:
                    return
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise SetupError(
            f"teachback serve is not ready at {path}; its last answer: {last[:300].decode()}; "
            f"its log ends:\n{self.log_tail()}"
        )

    def log_tail(self, characters: int = 2_000) -> str:
        """Return the end of what the server wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-characters:]

    def key(self) -> str:
        """Return a secret key for the first project, made once by the command line."""
        if not self._key:
            command = [str(COMMAND), "keys", "create", "bench", "--data-dir", str(self.data_dir)]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise SetupError(f"teachback keys create failed: {made.stderr}")
            self._key = made.stdout.strip()
        return self._key

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send one request on a new connection; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if path.startswith("/v1"):
            headers["Authorization"] = f"Bearer {self.key()}"
        try:
            payload = body if isinstance(body, bytes | None) else json.dumps(body)
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a body that is JSON already."""
        return self.call("POST", path, body)

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a further worker process beside the server."""
        command = [str(COMMAND), "worker", "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(STOP_LIMIT_S)

    def stop(self) -> None:
        """Ask the server to finish, as a supervisor does."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SetupError(
                f"teachback serve did not stop on SIGTERM:\n{self.log_tail()}"
            ) from None
        self.process = None

    def kill(self) -> None:
        """End the server's main process without a warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def postmaster(self) -> int | None:
        """Return the process id of our PostgreSQL, None when there is none."""
        for file in self.data_dir.rglob("postmaster.pid"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(file.read_text(encoding="utf-8").split("\n", 1)[0])
                if "postgres" in machine.command_line(pid):
                    return pid
        return None

    def pids(self) -> set[int]:
        """Return all our living processes: server, workers, PostgreSQL and its backends."""
        roots = [] if self.process is None else [self.process.pid]
        postmaster = self.postmaster()
        return machine.family([*roots, *([] if postmaster is None else [postmaster])])

    def memory_mb(self) -> float:
        """Return the proportional set size of all our processes, in MB."""
        return machine.memory_mb(self.pids())

    def cpu_s(self) -> float:
        """Return the seconds of processor time that our living processes have used."""
        return machine.cpu_s(self.pids())

    def disk_bytes(self) -> int:
        """Return what the data directory takes, without the write-ahead log, which is recycled."""
        return machine.folder_bytes(self.data_dir, without={"pg_wal"})


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder for data directories, removed afterwards.

    As root, PostgreSQL runs as another user: others may pass here.
    """
    with tempfile.TemporaryDirectory(prefix="teachback-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def running(data_dir: Path, variables: Mapping[str, str] | None = None) -> Iterator[Product]:
    """Run the product until the block ends; nothing of it is left afterwards."""
    product = Product(data_dir, variables)
    product.start()
    try:
        product.wait()
        yield product
    finally:
        close(product)


def close(product: Product) -> None:
    """Stop the product and, if something went wrong before, what it left behind."""
    left = product.pids()
    try:
        product.stop()
    finally:
        deadline = time.monotonic() + 5
        while (living := left & machine.processes().keys()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                signal_process(pid, signal.SIGKILL)


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to one of our processes."""
    os.kill(pid, number)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
