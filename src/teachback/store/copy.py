"""COPY rows into a table: the fastest durable write PostgreSQL has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import sql

from teachback.store.database import Connection


def copy_statement(table: str, columns: Sequence[str]) -> sql.Composed:
    """Build the statement once; table and columns are our own words."""
    return sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )


async def copy_rows(
    connection: Connection, statement: sql.Composed, rows: Iterable[Sequence[object]]
) -> None:
    """Send the rows; their values stand in the statement's order of columns."""
    async with connection.cursor().copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)
