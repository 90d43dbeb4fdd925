"""Numbered changes of the schema, applied in order, each once."""

from __future__ import annotations

import time
from functools import cache
from importlib.resources import files

import psycopg
from procrastinate.schema import SchemaManager

from teachback.errors import SetupError
from teachback.store.database import Database

#: Any fixed number: all processes that migrate one database queue up behind it.
ADVISORY_LOCK = 8_700_001


def available() -> dict[str, str]:
    """Return every migration, oldest first: name → SQL."""
    scripts = {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".sql")
    }
    # The job queue's tables come with its package; its later changes become entries of their own.
    scripts["0002_jobs"] = SchemaManager.get_schema()
    return dict(sorted(scripts.items()))


def pending(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Return the names not applied yet; SetupError when the schema is newer than this code."""
    applied = _applied(connection)
    unknown = applied - set(available())
    if unknown:
        raise SetupError(
            f"the database has the newer schema {max(unknown)!r}: run the Teachback version that "
            "made it, or a later one"
        )
    return [name for name in available() if name not in applied]


async def find_newer(db: Database) -> list[str]:
    """Return what a later version has applied beneath this running process."""
    rows = await db.all(
        "select name from migration where name <> all(%s) order by name", (list(_names()),)
    )
    return [row["name"] for row in rows]


@cache
def _names() -> tuple[str, ...]:
    return tuple(available())


def migrate(dsn: str, *, wait_s: float = 600) -> list[str]:
    """Apply what is pending, each in its own transaction; return the names applied.

    Safe with any number of processes at once: one works, the others wait for it.
    """
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            _lock(connection, wait_s)
            try:
                return [_apply(connection, name) for name in pending(connection)]
            finally:
                connection.execute("select pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
    except psycopg.OperationalError as error:
        raise SetupError(
            f"the database could not be brought up to date ({type(error).__name__}): check that "
            "it runs and that nothing holds its tables locked, then start again"
        ) from error


def _lock(connection: psycopg.Connection[tuple[object, ...]], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", (ADVISORY_LOCK,)).fetchone()
        if row and row[0]:
            return
        if time.monotonic() > deadline:
            raise SetupError("another process has been migrating this database for too long")
        time.sleep(0.1)


def _apply(connection: psycopg.Connection[tuple[object, ...]], name: str) -> str:
    with connection.transaction():
        connection.execute("set local lock_timeout = '2s'")
        connection.execute(available()[name].encode())
        connection.execute("insert into migration (name) values (%s)", (name,))
    return name


def _applied(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    connection.execute(
        "create table if not exists migration (name text primary key, "
        "applied_at timestamptz not null default now())"
    )
    return {str(row[0]) for row in connection.execute("select name from migration")}
