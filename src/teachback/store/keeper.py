"""The small process that keeps the embedded server running while anybody uses it.

It runs as a script of its own, so that no fate of an application's process is the server's.
Who lives is read from locks, which the kernel drops however a process ends:

clients.lock   shared by every process that uses the server
keeper.lock    held by the keeper from its birth; its text says how things stand
server.lock    inherited by the postmaster and all its children
"""
# Without pathlib and contextlib it needs less memory for a life that is mostly sleep.
# ruff: noqa: PTH108, PTH116, PTH123, SIM105

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

POLL_S = 0.2
#: Failed starts of a server that was never ready, until the keeper says so and leaves.
TRIES = 5
LONGEST_PAUSE_S = 5.0
#: A server that ran this long did not fail to start.
STEADY_S = 10.0
#: After this long a fast stop becomes an immediate one, which the next start recovers from.
STOP_S = 300.0
#: How long a process we may not see (another container's) can hold the cluster while we stop.
STRANGER_S = 10.0
LOG_BYTES = 8 * 1024 * 1024
GAVE_UP = "gave up"
#: How postmaster.pid says that connections are taken.
READY = "ready"

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
_LEFTOVERS = ("postgres/postmaster.pid", "run/.s.PGSQL.5432.lock", "run/.s.PGSQL.5432")


class Keeper:
    """Starts, watches and stops one postmaster."""

    def __init__(self, home: str, program: str, uid: int, gid: int, lock: int) -> None:
        self.home, self.program, self.uid, self.gid, self.lock = home, program, uid, gid, lock
        self.clients = os.open(f"{home}/clients.lock", os.O_RDWR)
        self.server = os.open(f"{home}/server.lock", os.O_RDWR)
        self.pid = 0
        self.starts = self.failures = 0
        self.started_at = self.next_start = 0.0
        self.was_ready = False

    def run(self) -> None:
        """Keep the server until nobody uses it any more."""
        self.report("running")
        while not held(self.clients):
            _reap()
            if self.moved():
                return self.abandon()
            if self.alive():
                self.look()
            elif time.monotonic() >= self.next_start and not self.start():
                return self.report(GAVE_UP)
            trim(f"{self.home}/postgres.log")
            time.sleep(POLL_S)
        self.stop()
        return self.leave()

    def report(self, state: str) -> None:
        """Write how things stand into keeper.lock, for those who wait."""
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()} {state}\n".encode(), 0)

    def alive(self) -> bool:
        """Say whether a postmaster, or a process it left behind, has the cluster open."""
        if not held(self.server):
            return True
        fcntl.flock(self.server, fcntl.LOCK_UN)
        return False

    def moved(self) -> bool:
        """Say whether the data directory is gone, or another one has taken its place."""
        try:
            return os.stat(f"{self.home}/server.lock").st_ino != os.fstat(self.server).st_ino
        except OSError:
            return True

    def abandon(self) -> None:
        """Stop the server of a data directory that somebody removed: nothing is left to save."""
        if self.pid and self.alive():
            _kill(self.pid, signal.SIGQUIT)

    def look(self) -> None:
        """Note which process the running server is, and that it takes connections."""
        lines = pid_lines(self.home)
        self.pid = int(lines[0]) if lines[0].isdigit() and _is_postgres(int(lines[0])) else 0
        self.was_ready = self.was_ready or READY in lines[7]
        if self.was_ready and time.monotonic() - self.started_at > STEADY_S:
            self.failures = 0

    def start(self) -> bool:
        """Start the postmaster; False after too many failures."""
        self.failures += bool(self.starts)
        if self.failures >= TRIES and not self.was_ready:
            return False
        self.starts += 1
        self.started_at = time.monotonic()
        self.next_start = self.started_at + min(POLL_S * 2**self.failures, LONGEST_PAUSE_S)
        self.clear_leftovers()
        self.spawn()
        return True

    def clear_leftovers(self) -> None:
        """Remove what a dead server left: its process id may be somebody else's by now."""
        for path in _LEFTOVERS:
            try:
                os.unlink(f"{self.home}/{path}")
            except FileNotFoundError:
                pass

    def spawn(self) -> None:
        """Run PostgreSQL with a lock of its own, which lasts as long as its last process."""
        lock = os.open(f"{self.home}/server.lock", os.O_RDWR)
        if held(lock):
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    self.become_postmaster(lock)
                finally:
                    os._exit(127)
        os.close(lock)

    def become_postmaster(self, lock: int) -> None:
        """Turn this process into the server."""
        os.set_inheritable(lock, True)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if os.geteuid() != self.uid:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
        os.execv(self.program, [self.program, "-D", f"{self.home}/postgres"])  # noqa: S606

    def stop(self) -> None:
        """Ask the server to stop, and wait until its last process is gone."""
        begun = time.monotonic()
        asked = 0
        while self.alive() and not self.moved():
            lasted = time.monotonic() - begun
            self.look()
            wanted = signal.SIGINT if lasted < STOP_S else signal.SIGQUIT
            if self.pid and wanted != asked:
                _kill(self.pid, wanted)
                asked = wanted
            if not self.pid and lasted > STRANGER_S:
                return
            _reap()
            time.sleep(POLL_S / 10)

    def leave(self) -> None:
        """Let keeper.lock go first: whoever gets clients.lock then finds no keeper."""
        self.report("stopped")
        os.close(self.lock)
        os.close(self.clients)


def held(lock: int) -> bool:
    """Try to take a lock alone; True when it is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def trim(log: str, limit: int = LOG_BYTES) -> None:
    """Copy a log of more than `limit` bytes aside and empty it, while the server appends."""
    try:
        if os.stat(log).st_size < limit:
            return
        aside = os.open(f"{log}.1", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(log, "rb+") as old, open(aside, "wb") as kept:
            owner = os.fstat(old.fileno())
            os.fchown(kept.fileno(), owner.st_uid, owner.st_gid)
            while block := old.read(65536):
                kept.write(block)
            old.truncate(0)
    except OSError:
        # A full disk or a removed log is no reason to let go of the server.
        return


def pid_lines(home: str) -> list[str]:
    """Return the eight lines of postmaster.pid; those not yet written are empty."""
    try:
        path = f"{home}/postgres/postmaster.pid"
        with open(path, encoding="utf-8", errors="replace") as file:
            return (file.read().split("\n") + [""] * 8)[:8]
    except OSError:
        return [""] * 8


def _is_postgres(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().startswith("postgres")
    except OSError:
        # Without /proc the held server.lock must do as proof that the file speaks the truth.
        return not os.access("/proc/self", os.F_OK)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> None:
    """Leave the process that started us, and keep its server."""
    home, program, uid, gid, lock = sys.argv[1:]
    os.set_inheritable(int(lock), False)
    if os.fork():
        os._exit(0)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    Keeper(home, program, int(uid), int(gid), int(lock)).run()


if __name__ == "__main__":
    main()
