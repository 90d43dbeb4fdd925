"""Who may use the embedded server's folders, and what is said when they cannot be used."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import psutil
import pytest

from support.embedded import App, dsn_of, eventually, home, other_user, postmaster, running
from teachback.errors import SetupError
from teachback.store.embedded import start
from teachback.store.engine import ACCOUNT, account_for, programs_for

__all__ = ["home"]

ROOT = os.geteuid() == 0


def test_path_is_refused_when_too_long_for_the_socket(tmp_path: Path) -> None:
    """The message names the length, the limit and the fix."""
    with pytest.raises(SetupError, match=r"has \d+ bytes, and the system allows 107; choose one"):
        start(tmp_path / ("x" * 100))


def test_cluster_is_refused_when_of_another_major_version(home: Path) -> None:
    """A cluster of PostgreSQL 16 is named and left as it is."""
    start(home).stop()
    assert eventually(lambda: not running(home))
    (home / "postgres/PG_VERSION").write_text("16\n")
    with pytest.raises(
        SetupError, match="PG_VERSION says 16, and this Teachback runs PostgreSQL 18"
    ):
        start(home)
    assert running(home) == []


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """A data directory that is a file is a message, not a traceback."""
    (tmp_path / "data").write_text("")
    with pytest.raises(SetupError, match="cannot be used: File exists"):
        start(tmp_path / "data")


def test_read_only_directory_is_refused(home: Path) -> None:
    """A folder that an ordinary user may not write to is named."""
    options = other_user(home)
    home.chmod(0o500)
    with App(home, **options) as app:
        assert "cannot be used: Permission denied" in app.says()["error"]
    home.chmod(0o700)


def test_ordinary_user_runs_a_server_of_their_own(home: Path) -> None:
    """Without root the server runs as the user, and nobody else may enter its folders."""
    with App(home, **other_user(home)) as app:
        assert app.says()["cluster"]
        owner = home.stat().st_uid
        assert psutil.Process(postmaster(home)).uids().real == owner
        assert app.leave() == 0


def test_folders_are_closed_to_other_users(home: Path) -> None:
    """Data, socket and log are for the account of the server alone."""
    with start(home):
        modes = {
            name: oct((home / name).stat().st_mode & 0o777)
            for name in ("postgres", "run", "run/.s.PGSQL.5432", "postgres.log", "clients.lock")
        }
    assert modes == {
        "postgres": "0o700", "run": "0o700", "run/.s.PGSQL.5432": "0o700",
        "postgres.log": "0o600", "clients.lock": "0o600",
    }  # fmt: skip


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
def test_other_user_is_refused_when_the_socket_is_open_to_all(home: Path) -> None:
    """Even with every folder and the socket opened by mistake, a stranger is not let in."""
    with start(home):
        for path in (home, home / "run", home / "run/.s.PGSQL.5432"):
            path.chmod(0o777)
        options = other_user(home)
        python = options.pop("python")
        code = f"import psycopg; psycopg.connect({dsn_of(home)!r})"
        refused = subprocess.run(
            [python, "-c", code], check=False, capture_output=True, text=True, **options
        )
    assert "Peer authentication failed" in refused.stderr


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_server_runs_as_its_account_when_we_are_root(home: Path) -> None:
    """PostgreSQL never runs as root: the account `teachback` runs it and owns the folder."""
    with start(home):
        account = pwd.getpwuid(psutil.Process(postmaster(home)).uids().real)
        assert account.pw_name in {ACCOUNT, "nobody"}
        assert home.stat().st_uid == account.pw_uid


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_folder_with_other_files_is_not_given_away(home: Path) -> None:
    """Root's own folder keeps its owner and mode; the message names it and a better place."""
    (home / "private.txt").write_text("root's own")
    with pytest.raises(SetupError, match=f"who may not enter {home}: choose a data directory"):
        start(home)
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (0, 0o700)


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_programs_are_copied_when_out_of_reach(home: Path, tmp_path: Path) -> None:
    """Programs below a folder of root's are copied to where the account can run them."""
    account = account_for(home / "postgres")
    package = programs_for(account).parent.parent
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for path in package.parent.glob(f"{package.name}*"):
        (hidden / path.name).symlink_to(path)
    home.chmod(0o755)
    installed = hidden / package.name / "pginstall18"
    programs = programs_for(account, installed=installed, copies=home / "engine")
    assert programs.is_relative_to(home / "engine")
    account.run([programs / "postgres", "--version"])
    account.run([programs / "initdb", "--version"])
    assert hidden.stat().st_mode & 0o777 == 0o700
