"""Start, share and stop the embedded PostgreSQL server of a data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from teachback.errors import SetupError
from teachback.store import keeper
from teachback.store.cluster import DATABASE, ROLE, check_major, make_cluster, write_settings
from teachback.store.engine import ENVIRONMENT, Account, account_for, programs_for

Progress = Callable[[str], None]

#: What the kernel's address of a socket holds, in bytes, without its final zero.
SOCKET_BYTES = 107
_SOCKET = ".s.PGSQL.5432"
_LOCKS = ("clients.lock", "start.lock", "keeper.lock", "server.lock")
#: A folder with nothing else in it is ours, and root may give it to the server's account.
_OURS = {*_LOCKS, "postgres", "postgres.new", "postgres.log", "postgres.log.1", "run"}
_POLL_S = 0.05
#: How long nothing is said, and then between two messages, in seconds.
_PATIENCE_S = 2.0
#: How long the last user waits for the end: containers are killed with their first process.
_STOP_S = 60.0
#: How often a process looks whether the keeper is still there, in seconds.
_WATCH_S = 1.0


class EmbeddedServer:
    """Our use of the server: while anybody has one, it runs."""

    def __init__(self, home: Path, clients: int) -> None:
        #: Where the database is, for psycopg and every other user of libpq.
        self.dsn = f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(home / 'run'), safe='')}"
        self._home = home
        self._clients: int | None = clients
        self._command: list[str] = []
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._replace_keeper, daemon=True)
        _servers.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Release our use of the server; the last release stops it and waits for its end.

        Harmless when repeated. The kernel releases it, too, however the process ends.
        """
        self._stopped.set()
        if self._watch.is_alive():
            self._watch.join()
        if self._clients is not None:
            self._let_go()
            _wait_stopped(self._home)

    def run(self, command: list[str], say: Progress) -> None:
        """Start a keeper if there is none, and wait until the server takes connections.

        Waits as long as a recovery lasts. Raises SetupError when the server cannot be started.
        """
        self._command = command
        launch_keeper(self._home, command)
        for _ in _patiently(say, lambda: f"PostgreSQL starts: {_last_words(self._home)}"):
            if keeper.READY in keeper.pid_lines(str(self._home))[7] and accepts(self.dsn):
                break
            if launch_keeper(self._home, command, unless=keeper.GAVE_UP) is None:
                raise SetupError(
                    f"PostgreSQL does not start: {_last_words(self._home, but='LOG')}; "
                    f"{self._home / 'postgres.log'} has the rest"
                )
        self._watch.start()

    def _replace_keeper(self) -> None:
        """Start another keeper if ours was killed: without one nobody stops the server."""
        while not self._stopped.wait(_WATCH_S):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                if self._is_in_place():
                    launch_keeper(self._home, self._command)

    def _is_in_place(self) -> bool:
        """Say whether the directory we use is still there, and not another one in its place."""
        ours, found = self._clients, (self._home / "clients.lock").stat()
        return ours is not None and os.path.samestat(os.fstat(ours), found)

    def _let_go(self) -> None:
        handle, self._clients = self._clients, None
        if handle is not None:
            os.close(handle)


def start(data_dir: Path, *, on_progress: Progress | None = None) -> EmbeddedServer:
    """Return the running server of `data_dir`, made or started if need be, shared if running.

    Blocks until it takes connections. A forked child has no use of its own: it calls `start`.
    Raises SetupError when the folder, its owner or its version does not allow it.
    """
    home = data_dir.expanduser().absolute()
    say = on_progress or (lambda _message: None)
    _check_length(home)
    with _explained(home), contextlib.ExitStack() as undo:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        clients = _lock(home / "clients.lock", fcntl.LOCK_SH, say, "the last server stops")
        server = EmbeddedServer(home, clients)
        undo.callback(server.stop)
        server.run(_prepare(home, say), say)
        undo.pop_all()
    return server


def accepts(dsn: str) -> bool:
    """Say whether the server takes connections; raise SetupError when it never will."""
    try:
        psycopg.connect(dsn, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        said = str(error)
        if "authentication failed" in said or "does not exist" in said:
            raise SetupError(f"the embedded server refuses us: {said}") from error
        # Full is ready: the caller's pool waits for its turn.
        return "too many clients" in said or "connection slots" in said
    return True


def launch_keeper(home: Path, command: list[str], *, unless: str = "") -> bool | None:
    """Start a keeper where there is none; None when the last one left with the words `unless`."""
    lock = _open(home / "keeper.lock")
    try:
        if not keeper.held(lock):
            return False
        if unless and unless in os.pread(lock, 100, 0).decode():
            return None
        os.ftruncate(lock, 0)
        _spawn(home, [*command, str(lock)], lock)
        return True
    finally:
        os.close(lock)


def _wait_stopped(home: Path) -> None:
    """Wait until the keeper has stopped the server, or others turn out to use it."""
    deadline = time.monotonic() + _STOP_S
    with contextlib.suppress(OSError):  # the directory is gone, and its server with it
        while _stops(home) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _stops(home: Path) -> bool:
    """Say whether nobody uses the server and its keeper has not left yet."""
    clients = os.open(home / "clients.lock", os.O_RDWR | os.O_NOFOLLOW)
    kept = os.open(home / "keeper.lock", os.O_RDWR | os.O_NOFOLLOW)
    try:
        if keeper.held(clients):
            return not keeper.held(kept)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(clients, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        return True
    finally:
        os.close(kept)
        os.close(clients)


def _spawn(home: Path, command: list[str], lock: int) -> None:
    log = _open(home / "postgres.log", os.O_APPEND)
    try:
        subprocess.run(  # noqa: S603 - our own script; it leaves at once and works on alone
            command,
            check=True,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        os.close(log)


def _prepare(home: Path, say: Progress) -> list[str]:
    """Make or check the cluster, one process at a time; return how to run its keeper."""
    turn = _lock(home / "start.lock", fcntl.LOCK_EX, say, "another process starts the server")
    try:
        cluster = home / "postgres"
        account = account_for(cluster)
        _own(home, account)
        programs = programs_for(account)
        if not cluster.exists():
            say("Making the database: this happens once")
            make_cluster(cluster, programs, account)
        check_major(cluster)
        write_settings(cluster, account)
        return _keeper_command(home, programs, account)
    finally:
        os.close(turn)


def _keeper_command(home: Path, programs: Path, account: Account) -> list[str]:
    script = [sys.executable, "-I", "-S", keeper.__file__]
    return [*script, str(home), str(programs / "postgres"), str(account.uid), str(account.gid)]


def _own(home: Path, account: Account) -> None:
    """Give the folder and our files in it to the account of the server; check its way there."""
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    for name in (*_LOCKS, "postgres.log"):
        os.close(_open(home / name))
        account.own(home / name)
    account.own(home / "run")
    if {path.name for path in home.iterdir()} <= _OURS:
        account.own(home)
    if blocked := account.blocked_by(home / "postgres"):
        raise SetupError(
            f"the embedded server runs as the user {account.name}, who may not enter {blocked}: "
            f"choose a data directory elsewhere, such as /var/lib/teachback, or chmod o+x {blocked}"
        )


@contextlib.contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Turn what the system says about the data directory into what to do."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"the data directory {home} cannot be used: {error.strerror} "
            f"({error.filename or home}); make it writable for this user or choose another"
        ) from error


def _check_length(home: Path) -> None:
    length = len(os.fsencode(home / "run" / _SOCKET))
    if length > SOCKET_BYTES:
        raise SetupError(
            f"the data directory {home} is too long: with the name of the socket it has {length} "
            f"bytes, and the system allows {SOCKET_BYTES}; choose one that is "
            f"{length - SOCKET_BYTES} bytes shorter"
        )


def _open(path: Path, flags: int = 0) -> int:
    # As root we write into the folder of a lesser account: never follow its links.
    return os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _lock(path: Path, mode: int, say: Progress, reason: str) -> int:
    handle = _open(path)
    try:
        for _ in _patiently(say, lambda: f"Waiting while {reason}"):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
                break
    except BaseException:
        os.close(handle)
        raise
    return handle


def _patiently(say: Progress, message: Callable[[], str]) -> Iterator[None]:
    """Yield without end; say now and then how long it has lasted."""
    begun = said = time.monotonic()
    while True:
        yield
        time.sleep(_POLL_S)
        now = time.monotonic()
        if now - said >= _PATIENCE_S:
            said = now
            say(f"{message()} ({now - begun:.0f} s)")


def _last_words(home: Path, *, but: str = "") -> str:
    """Return the last thing that PostgreSQL logged, leaving out lines of the level `but`."""
    with (home / "postgres.log").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4000))
        lines = file.read().decode(errors="replace").splitlines()
    told = [line for line in lines if line and not (but and f"] {but}:  " in line)]
    return told[-1].partition(":  ")[2] or told[-1] if told else "it has not said anything yet"


def _forget_in_child() -> None:
    """Close the locks that a forked child inherited: it must not keep the server alive."""
    for server in list(_servers):
        server._let_go()


_servers: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forget_in_child)
