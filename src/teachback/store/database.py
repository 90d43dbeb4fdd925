"""The whole interface to PostgreSQL: run, one, all, transaction."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection, AsyncCursor, errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from teachback.errors import Invalid, SetupError, Unavailable

Connection = AsyncConnection[DictRow]
Cursor = AsyncCursor[DictRow]
Row = DictRow
Params = Sequence[object] | dict[str, object]

#: Longest a request waits for a free connection, in seconds: whoever asks while the database is
#: away learns so within it.
POOL_WAIT_S = 0.9
#: How long the pool itself tries to reconnect before the next request makes it try again.
RECONNECT_S = 10.0
#: How often a statement is tried when its connection turns out to be broken: as often as there may
#: be broken ones in the pool after a restart of the server, within reason.
ATTEMPTS = 4
#: Longest one statement may run: pages answer in milliseconds, this is for accidents.
STATEMENT_TIMEOUT_MS = 30_000
#: Any fixed number, other than that of the migrations.
ALONE_LOCK = 8_700_002
#: Errors after which the same statement may succeed: the server stopped or restarts (57P),
#: the connection broke (08), a deadlock or serialization failure (40), too many clients (53300),
#: a lock or statement timeout (55P03, 57014), a primary that became a standby (25006).
TRANSIENT = (
    errors.OperationalError,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.TooManyConnections,
    errors.LockNotAvailable,
    errors.ReadOnlySqlTransaction,
    errors.InterfaceError,
    # A primary that has become a standby: the next connection may lead to its successor.
    errors.ReadOnlySqlTransaction,
    PoolTimeout,
)


class Database:
    """A pool of connections to one database."""

    def __init__(self, dsn: str, *, max_size: int = 8, pooler: bool = False) -> None:
        """Prepare a pool; nothing is opened yet.

        `pooler=True` is for PgBouncer in transaction mode: no prepared statements, and no
        settings that live in a server session.
        """
        self.dsn = dsn
        self._pooler = pooler
        self.pool = self._pool(max_size=max_size, autocommit=True)
        #: Lends the connection of the shared commit; its transactions begin with their first
        #: statement, which saves a round trip.
        self.writers = self._pool(max_size=1, autocommit=False)

    def _pool(self, *, max_size: int, autocommit: bool) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            self._conninfo(),
            min_size=1,
            max_size=max_size,
            timeout=POOL_WAIT_S,
            reconnect_timeout=RECONNECT_S,
            open=False,
            kwargs={
                "row_factory": dict_row,
                "autocommit": autocommit,
                "prepare_threshold": None if self._pooler else 5,
            },
        )

    def _conninfo(self) -> str:
        try:
            return make_conninfo(self.dsn, **({} if self._pooler else {"options": _options()}))
        except psycopg.ProgrammingError:
            # The parser's message quotes the text, which may hold a password.
            raise SetupError(
                "DATABASE_URL is no address of PostgreSQL: write it as "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
            ) from None

    async def open(self) -> None:
        """Open the first connection; raises SetupError when the server cannot be reached."""
        try:
            await self.pool.open(wait=True, timeout=30)
            await self.writers.open(wait=False)
        except PoolTimeout as error:
            raise SetupError(
                "cannot connect to PostgreSQL: check that it runs and that DATABASE_URL is right"
            ) from error

    def waited_s(self) -> float:
        """Return how long requests have waited for a connection since this was last asked."""
        pools = (self.pool, self.writers)
        return sum(pool.pop_stats().get("requests_wait_ms", 0) for pool in pools) / 1_000

    async def close(self) -> None:
        await self.writers.close()
        await self.pool.close()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside one transaction; Unavailable when the server is away."""
        try:
            async with self.pool.connection() as connection, connection.transaction():
                yield connection
        except TRANSIENT as error:
            raise away() from error

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Let one process at a time do what is inside; Unavailable after a few seconds' wait."""
        async with self.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(%s)", (ALONE_LOCK,))
            yield

    async def run(self, query: LiteralString | sql.Composed, params: Params = ()) -> int:
        """Execute a statement; return the number of rows it touched."""
        return (await self._execute(query, params))[1]

    async def one(self, query: LiteralString | sql.Composed, params: Params = ()) -> Row | None:
        """Return the first row, or None."""
        rows = (await self._execute(query, params))[0]
        return rows[0] if rows else None

    async def all(self, query: LiteralString | sql.Composed, params: Params = ()) -> list[Row]:
        """Return all rows: for queries that are bounded by LIMIT or by nature."""
        return (await self._execute(query, params))[0]

    async def _execute(
        self, query: LiteralString | sql.Composed, params: Params
    ) -> tuple[list[Row], int]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.pool.connection() as connection:
                    cursor = await connection.execute(query, params)
                    rows = await cursor.fetchall() if cursor.description else []
                    return rows, cursor.rowcount
            except PoolTimeout as error:
                raise away() from error
            except TRANSIENT as error:
                if attempt == ATTEMPTS:
                    raise away() from error
            except (errors.DataError, UnicodeEncodeError):
                raise _unholdable() from None
        raise AssertionError("unreachable")


def away() -> Unavailable:
    """Make the error for a database that cannot be asked right now."""
    return Unavailable("the database is away; nothing was stored, try again")


def _unholdable() -> Invalid:
    # The database's own message may quote the value.
    return Invalid(
        "value",
        rule="the database cannot hold a value of this request",
        fix="Look for U+0000, lone surrogates, and numbers and times out of range",
    )


async def check_server(db: Database) -> dict[str, Any]:
    """Return facts about the server; raise SetupError with the statement that mends a lack."""
    facts = await db.one(
        """
        select current_setting('server_version_num')::int as version,
               current_setting('server_encoding') as encoding,
               current_setting('fsync') as fsync,
               pg_is_in_recovery() as standby,
               has_schema_privilege(current_schema(), 'create') as may_create,
               exists (select from pg_available_extensions where name = 'vector') as vector
        """
    )
    assert facts is not None  # a select without FROM always has one row
    for wrong, message in _server_rules(facts):
        if wrong:
            raise SetupError(message)
    return dict(facts)


def _server_rules(facts: Row) -> list[tuple[bool, str]]:
    return [
        (
            facts["version"] < 160000,
            f"PostgreSQL is {facts['version'] // 10000}: 16 or newer is needed; upgrade the server",
        ),
        (
            facts["encoding"] != "UTF8",
            f"the database's encoding is {facts['encoding']}: UTF8 is needed; create another with "
            "CREATE DATABASE teachback ENCODING 'UTF8' TEMPLATE template0",
        ),
        (
            facts["fsync"] != "on",
            "fsync is off, so accepted records could be lost; run ALTER SYSTEM SET fsync = on and "
            "reload",
        ),
        (facts["standby"], "this server is a read-only standby: point DATABASE_URL at the primary"),
        (
            not facts["may_create"],
            "the database user may not create tables: run GRANT CREATE ON SCHEMA public TO it",
        ),
        (
            not facts["vector"],
            "the extension pgvector is not installed: install the package postgresql-NN-pgvector",
        ),
    ]


def _options() -> str:
    return (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout=5000 "
        "-c idle_in_transaction_session_timeout=60000 -c application_name=teachback -c timezone=UTC"
    )


__all__ = [
    "TRANSIENT",
    "Connection",
    "Cursor",
    "Database",
    "Params",
    "Row",
    "check_server",
    "psycopg",
]
