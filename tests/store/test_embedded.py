"""The embedded server: one per data directory, while anybody uses it, whoever is killed."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from support.embedded import (
    App,
    answers,
    dsn_of,
    eventually,
    home,
    is_keeper,
    keeper,
    numbers,
    postmaster,
    running,
)
from teachback.errors import SetupError
from teachback.store.embedded import start
from teachback.store.keeper import trim

__all__ = ["home"]

#: Processes killed in the loop; the matrix raises it.
KILLS = int(os.environ.get("TEACHBACK_KILLS", "10"))


def test_database_is_there_after_the_first_start(home: Path) -> None:
    """An empty folder becomes a UTF-8 database with pgvector, reachable by the DSN alone."""
    with start(home) as server, psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE EXTENSION vector")
        row = connection.execute(
            "SELECT current_database(), current_setting('server_encoding'), datlocale,"
            " '[3,4]'::vector <-> '[0,0]' FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("teachback", "UTF8", "C.UTF-8", 5.0)


def test_rows_are_kept_when_stopped_and_started(home: Path) -> None:
    """What was committed is there after the server was stopped; stopping twice is harmless."""
    server = start(home)
    with psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE written (number int)")
        connection.execute("INSERT INTO written VALUES (7)")
    server.stop()
    assert running(home) == []
    server.stop()
    with start(home) as again:
        assert numbers(again) == [7]


def test_settings_keep_content_out_of_the_log(home: Path) -> None:
    """A refused value is in the answer to the client and not in postgres.log."""
    with start(home) as server, psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE said (words text PRIMARY KEY)")
        connection.execute("INSERT INTO said VALUES ('what Alice typed')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO said VALUES ('what Alice typed')")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT 'what Alice typed'::int")
        connection.execute("DO $$ BEGIN RAISE WARNING 'what Alice typed'; END $$")
    log = (home / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "Alice" not in log


def test_two_processes_share_one_server(home: Path) -> None:
    """The second process attaches; the first exit leaves the server, the last one stops it."""
    with App(home) as alice, App(home) as bob:
        assert alice.says() == bob.says() != {}
        pid = postmaster(home)
        assert alice.leave() == 0
        time.sleep(0.5)
        assert psutil.pid_exists(pid)
        assert bob.leave() == 0
        assert eventually(lambda: not running(home))


def test_four_processes_start_at_once(home: Path) -> None:
    """Four first starts make one cluster and one server."""
    apps = [App(home) for _ in range(4)]
    try:
        told = [app.says() for app in apps]
        assert len({json.dumps(facts) for facts in told}) == 1
        assert "cluster" in told[0]
        assert (home / "postgres.log").read_text().count("starting PostgreSQL") == 1
    finally:
        for app in apps:
            app.end(signal.SIGKILL)


def test_nothing_is_lost_or_left_when_apps_are_killed(home: Path) -> None:
    """Kill the application, or server and application, again and again: every row is there."""
    chance = random.Random(33)
    for _ in range(KILLS):
        with App(home, "write") as app:
            told = [app.says()["number"] for _ in range(chance.randint(1, 200))]
            if chance.random() < 0.5:
                os.kill(postmaster(home), signal.SIGKILL)
            app.end(signal.SIGKILL)
        assert eventually(lambda: not running(home))
        with start(home) as server:
            kept = numbers(server)
        assert kept[: told[-1]] == list(range(1, told[-1] + 1))


def test_keeper_is_replaced_when_killed(home: Path) -> None:
    """A killed keeper is followed by one that adopts the running server and stops it at the end."""
    with start(home) as server:
        pid, first = postmaster(home), keeper(home)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: keeper(home) not in {0, first})
        assert answers(server)
        assert postmaster(home) == pid
    assert eventually(lambda: not running(home))


def test_server_is_adopted_when_keeper_and_app_were_killed(home: Path) -> None:
    """A server that lost everybody is found, used and stopped by the next process."""
    with App(home) as app:
        app.says()
        pid = postmaster(home)
        os.kill(app.process.pid, signal.SIGSTOP)
        os.kill(keeper(home), signal.SIGKILL)
        app.end(signal.SIGKILL)
    assert psutil.pid_exists(pid)
    with start(home) as server:
        assert answers(server)
        assert postmaster(home) == pid
    assert eventually(lambda: not running(home))


def test_server_is_restarted_when_killed(home: Path) -> None:
    """While somebody uses it, a killed server comes back."""
    with start(home) as server:
        first = postmaster(home)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: postmaster(home) != first and answers(server))


def test_forked_child_does_not_keep_the_server(home: Path) -> None:
    """A child that inherited everything open is no user of the server."""
    with App(home, "fork") as app:
        child = app.says()["child"]
        app.end(signal.SIGKILL)
    try:
        assert eventually(lambda: not running(home))
        assert psutil.pid_exists(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_stale_pid_file_names_a_living_stranger(home: Path) -> None:
    """A pid file and socket lock left by a crash do not stop the start, whoever has the pid now."""
    start(home).stop()
    assert eventually(lambda: not running(home))
    stale = f"{os.getpid()}\n{home}/postgres\n1700000000\n5432\n../run\n\n  0 0\nready   \n"
    (home / "postgres/postmaster.pid").write_text(stale)
    (home / "run/.s.PGSQL.5432.lock").write_text(stale)
    with start(home) as server:
        assert answers(server)
        assert postmaster(home) != os.getpid()


def test_start_waits_when_recovery_is_long(home: Path) -> None:
    """A start during a recovery waits for its end and says so meanwhile."""
    with App(home, "write") as app:
        app.says()
        with psycopg.connect(dsn_of(home)) as connection:
            connection.execute("CREATE TABLE load AS SELECT generate_series(1, 600000) AS number")
        os.kill(postmaster(home), signal.SIGKILL)
        app.end(signal.SIGKILL)
    assert eventually(lambda: not running(home))
    said: list[str] = []
    done = threading.Event()
    helper = threading.Thread(target=halt_recovery, args=(home, said, done))
    helper.start()
    with start(home, on_progress=said.append) as server:
        done.set()
        helper.join()
        assert numbers(server)[0] == 1
    assert any("PostgreSQL starts" in message for message in said)


def halt_recovery(home: Path, said: list[str], done: threading.Event) -> None:
    """Stop the recovering process until a message was said: as if the disk were very slow."""
    while not done.is_set():
        for process in running(home):
            # One that ends while it is looked at was another: the next look finds the right one.
            with suppress(psutil.NoSuchProcess):
                if "startup" in " ".join(process.cmdline()):
                    process.suspend()
                    eventually(lambda: said)
                    process.resume()
                    return


def test_removed_directory_takes_its_server_along(home: Path) -> None:
    """Nothing keeps running for a data directory that is gone, nor disturbs its successor."""
    gone = home.with_name(f"{home.name}-gone")
    with App(home) as app:
        app.says()
        home.rename(gone)
        home.mkdir(mode=0o755)
        time.sleep(1.5)  # the application looks after its keeper once a second
        with start(home) as server:
            assert eventually(lambda: not running(gone))
            assert len([process for process in running(home) if is_keeper(process)]) == 1
            assert answers(server)
    shutil.rmtree(gone)


def test_start_fails_with_the_reason_when_a_setting_is_wrong(home: Path) -> None:
    """What PostgreSQL refuses is said, not waited for; after the mending it starts."""
    start(home).stop()
    assert eventually(lambda: not running(home))
    settings = home / "postgres/postgresql.conf"
    right = settings.read_text()
    settings.write_text(right + "shared_buffers = plenty\n")
    with pytest.raises(SetupError, match=r"PostgreSQL does not start: .*postgres\.log"):
        start(home)
    settings.write_text(right)
    with start(home) as server:
        assert answers(server)


def test_log_is_moved_aside_when_it_grew_too_long(home: Path) -> None:
    """The log stays short: its past is in one second file."""
    log = home / "postgres.log"
    log.write_text("x" * 1000)
    trim(str(log), limit=500)
    assert (log.stat().st_size, (home / "postgres.log.1").stat().st_size) == (0, 1000)


def test_start_waits_when_the_last_server_stops(home: Path) -> None:
    """A process that comes while the server stops waits for the end and starts another."""
    start(home).stop()
    assert eventually(lambda: not running(home))
    with (home / "clients.lock").open("r+") as keepers:
        fcntl.flock(keepers, fcntl.LOCK_EX)
        with App(home) as app:
            time.sleep(0.5)
            assert running(home) == []
            fcntl.flock(keepers, fcntl.LOCK_UN)
            assert app.says()["cluster"]
