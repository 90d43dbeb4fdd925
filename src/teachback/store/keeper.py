"""The small process that keeps the embedded server running while anybody uses it.

It runs as a script of its own, so that no fate of an application's process is the server's.
Who lives is read from locks, which the kernel drops however a process ends:

clients.lock   shared by every process that uses the server
keeper.lock    held by the keeper from its birth; its text says how things stand
server.lock    inherited by the postmaster and its children
"""
# ruff: noqa: PTH, SIM105 - without pathlib and contextlib it needs half the memory

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

POLL_S = 0.2
#: Failed starts of a server that was never ready, until the keeper says so and leaves.
TRIES = 8
LONGEST_PAUSE_S = 5.0
#: After this long a fast stop becomes an immediate one, which the next start recovers from.
STOP_S = 300.0
LOG_BYTES = 8 * 1024 * 1024
GAVE_UP = "gave up"


class Keeper:
    """Starts, watches and stops one postmaster."""

    def __init__(self, home: str, program: str, uid: int, gid: int, lock: int) -> None:
        self.home, self.program, self.uid, self.gid, self.lock = home, program, uid, gid, lock
        self.clients = os.open(f"{home}/clients.lock", os.O_RDWR)
        self.failures = 0
        self.was_ready = False
        self.started = False
        self.next_start = 0.0

    def run(self) -> None:
        """Keep the server until nobody uses it any more."""
        self.report("running")
        while not held(self.clients):
            _reap()
            self.note_ready()
            if not self.alive() and not self.start():
                return self.report(GAVE_UP)
            trim(f"{self.home}/postgres.log")
            time.sleep(POLL_S)
        self.stop()
        return self.leave()

    def report(self, state: str) -> None:
        text = f"{os.getpid()} {state}\n".encode()
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, text, 0)

    def note_ready(self) -> None:
        if not self.was_ready and "ready" in _line(self.home, 7):
            self.was_ready = True
        if self.was_ready:
            self.failures = 0

    def alive(self) -> bool:
        """Say whether a postmaster, or a process it left behind, has the cluster open."""
        lock = os.open(f"{self.home}/server.lock", os.O_RDWR)
        try:
            return not held(lock)
        finally:
            os.close(lock)

    def start(self) -> bool:
        """Start the postmaster when its turn has come; False after too many failures."""
        if time.monotonic() < self.next_start:
            return True
        if self.started and not self.was_ready:
            self.failures += 1
            if self.failures >= TRIES:
                return False
        pause = 0.1 * 2**self.failures if self.started else 0.0
        self.next_start = time.monotonic() + max(min(pause, LONGEST_PAUSE_S), 2 * POLL_S)
        self.started = True
        self.clear_stale()
        self.spawn()
        return True

    def clear_stale(self) -> None:
        """Remove what a dead server left: its process ids may be somebody else's by now."""
        for path in ("postgres/postmaster.pid", "run/.s.PGSQL.5432.lock", "run/.s.PGSQL.5432"):
            try:
                os.unlink(f"{self.home}/{path}")
            except FileNotFoundError:
                pass

    def spawn(self) -> None:
        lock = os.open(f"{self.home}/server.lock", os.O_RDWR)
        if held(lock) and os.fork() == 0:
            try:
                self.become_postmaster(lock)
            finally:
                os._exit(127)
        os.close(lock)

    def become_postmaster(self, lock: int) -> None:
        os.set_inheritable(lock, True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if os.geteuid() != self.uid:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
        os.execv(self.program, [self.program, "-D", f"{self.home}/postgres"])  # noqa: S606 - no shell wanted

    def stop(self) -> None:
        """Ask the server to stop and wait until its last process is gone."""
        begun = time.monotonic()
        asked = 0
        while self.alive():
            wanted = signal.SIGQUIT if time.monotonic() - begun > STOP_S else signal.SIGINT
            pid = self.postmaster()
            if pid and wanted != asked:
                os.kill(pid, wanted)
                asked = wanted
            _reap()
            time.sleep(0.02)

    def postmaster(self) -> int:
        """Return the process id of the running postmaster, 0 while there is none to be seen."""
        text = _line(self.home, 0)
        pid = int(text) if text.isdigit() else 0
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                return pid if file.read().startswith("postgres") else 0
        except OSError:
            # Without /proc the held server.lock is the proof that the file is true.
            return 0 if os.path.isdir("/proc/self") else pid

    def leave(self) -> None:
        """Give up keeper.lock first: whoever gets clients.lock finds no keeper."""
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


def trim(log: str) -> None:
    """Move a log that has grown too long aside; the server goes on appending to the same file."""
    try:
        if os.stat(log).st_size < LOG_BYTES:
            return
        with open(log, "rb+") as old, open(f"{log}.1", "wb") as kept:
            while block := old.read(65536):
                kept.write(block)
            old.truncate(0)
    except OSError:
        # A full disk or a removed log is no reason to let go of the server.
        return


def _line(home: str, number: int) -> str:
    try:
        with open(f"{home}/postgres/postmaster.pid", encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")[number].strip()
    except (OSError, IndexError):
        return ""


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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    Keeper(home, program, int(uid), int(gid), int(lock)).run()


if __name__ == "__main__":
    main()
