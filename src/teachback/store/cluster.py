"""The embedded server's data: made once and whole, its settings written anew at each start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from teachback.errors import SetupError
from teachback.store.engine import MAJOR, Account

#: The superuser role and the database in it.
ROLE = DATABASE = "teachback"

SETTINGS = """\
# Written by Teachback at each start: put your own settings after the include in postgresql.conf.

# Reachable through the socket alone, for the account of the server and for root.
listen_addresses = ''
unix_socket_directories = '../run'
unix_socket_permissions = 0700

# An accepted record is a durable record.
fsync = on
full_page_writes = on
synchronous_commit = on

# A small machine that is idle most of the time.
max_connections = 100
shared_buffers = 64MB
huge_pages = off
io_method = sync
autovacuum_max_workers = 2
max_worker_processes = 4
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
maintenance_work_mem = 128MB
jit = off

# Few, smooth checkpoints; a crash replays at most this much.
max_wal_size = 1GB
min_wal_size = 64MB
checkpoint_timeout = 15min

# pg_basebackup works; nothing else replicates.
wal_level = replica
max_wal_senders = 4
max_replication_slots = 2
max_logical_replication_workers = 0

# What people typed never reaches the log: errors and warnings quote it, so only the client,
# whose statement it was, is told; the server's own messages (log, fatal, panic) remain.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_statement = none
log_checkpoints = off
log_startup_progress_interval = 2s
log_autovacuum_min_duration = -1
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'
timezone = 'UTC'
"""


def make_cluster(cluster: Path, programs: Path, account: Account) -> None:
    """Make the cluster with its database, or nothing: it appears by one rename."""
    fresh = cluster.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    account.own(fresh)
    account.run([
        programs / "initdb", "--pgdata", fresh, "--username", ROLE, "--no-instructions",
        "--auth-local", "peer", "--auth-host", "reject", "--encoding", "UTF8", "--locale", "C",
        "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--data-checksums",
    ])  # fmt: skip
    said = account.run(
        [programs / "postgres", "--single", "-D", fresh, "template1"],
        feed=f"CREATE DATABASE {DATABASE}\n",
    )
    if "ERROR" in said or "FATAL" in said:
        raise SetupError(f"PostgreSQL could not make its database: {said.strip()[-800:]}")
    with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude 'teachback.conf'\n")
    fresh.rename(cluster)
    _sync(cluster.parent)


def check_major(cluster: Path) -> None:
    """Raise SetupError when another major version of PostgreSQL made the cluster."""
    path = cluster / "PG_VERSION"
    try:
        found = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SetupError(
            f"{cluster} is no PostgreSQL cluster (it has no file PG_VERSION): "
            "restore it from a backup, or choose another data directory"
        ) from None
    if found != str(MAJOR):
        raise SetupError(
            f"{path} says {found}, and this Teachback runs PostgreSQL {MAJOR}: export with the "
            "version that made it and import with this one, or choose another data directory"
        )


def write_settings(cluster: Path, account: Account) -> None:
    """Write what the server reads at its start: settings, and who may connect."""
    names = dict.fromkeys([account.name, "root"])
    peers = "".join(f'teachback "{name}" {ROLE}\n' for name in names)
    hba = "local all all peer map=teachback\nlocal replication all peer map=teachback\n"
    files = {"teachback.conf": SETTINGS, "pg_hba.conf": hba, "pg_ident.conf": peers}
    for name, text in files.items():
        _replace(cluster / name, text, account.own)


def _replace(path: Path, text: str, own: Callable[[Path], None]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    # As root we write into the folder of a lesser account: never follow its links.
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    own(fresh)
    fresh.replace(path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
