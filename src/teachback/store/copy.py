"""COPY rows into a table: the fastest durable write PostgreSQL has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from psycopg import sql

from teachback.store.database import Connection


def as_array(words: Iterable[str | None]) -> str:
    """Write a list as PostgreSQL reads an array: far cheaper than psycopg's general dumper."""
    return "{" + ",".join(["NULL" if word is None else _quote(word) for word in words]) + "}"


def _quote(word: str) -> str:
    if "\\" in word or '"' in word:
        word = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"'


def as_columns(rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Turn rows of texts into an array for each column, for `unnest`."""
    return [as_array(column) for column in zip(*rows, strict=True)]


def as_json(value: object) -> str | None:
    """Write JSON for a jsonb column; None stays null."""
    return None if value is None else msgspec.json.encode(value).decode()


def as_time(at: datetime | None) -> str | None:
    """Write a time as PostgreSQL reads it; cheaper than psycopg's dumper."""
    return None if at is None else at.isoformat()


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
