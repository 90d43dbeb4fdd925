"""Get rows into a table: many by COPY, PostgreSQL's fastest durable write, a few by INSERT."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from typing import LiteralString

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


#: How rows get into a table: `copy_rows` or `insert_rows`.
AddRows = Callable[[Connection, "Table", Iterable[Sequence[object]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Table:
    """The ways to get rows into a table."""

    #: Fastest for many rows; takes round trips of its own.
    copy: sql.Composed
    #: The same, of values in PostgreSQL's own format.
    binary: sql.Composed
    #: Goes with other statements in one round trip; costs more for each row.
    insert: sql.Composed

    @classmethod
    def of(cls, name: str, columns: Mapping[str, LiteralString]) -> Table:
        """Build the statements once, from our own words: the columns with their types."""
        table = sql.Identifier(name)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        return cls(
            sql.SQL("copy {} ({}) from stdin").format(table, names),
            sql.SQL("copy {} ({}) from stdin (format binary)").format(table, names),
            sql.SQL("insert into {} ({}) select {} from unnest({}) as new ({})").format(
                table,
                names,
                sql.SQL(", ").join(starmap(_selected, columns.items())),
                sql.SQL(", ").join(map(_given, columns.values())),
                names,
            ),
        )


def _selected(name: str, kind: LiteralString) -> sql.Composable:
    # An array of arrays would be taken apart to its words: a column of lists comes as text.
    return sql.SQL("{}" + ("::" + kind if kind.endswith("[]") else "")).format(sql.Identifier(name))


def _given(kind: LiteralString) -> sql.SQL:
    return sql.SQL("%s::text[]" if kind.endswith("[]") else "%s::" + kind + "[]")


async def copy_binary(
    connection: Connection, table: Table, rows: Iterable[Sequence[bytes]]
) -> None:
    """Send rows whose values are in PostgreSQL's own binary format: nothing is left to parse."""
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for row in rows:
        parts.append(struct.pack(">h", len(row)))
        for value in row:
            parts += (struct.pack(">i", len(value)), value)
    parts.append(struct.pack(">h", -1))
    async with connection.cursor().copy(table.binary) as copy:
        await copy.write(b"".join(parts))


async def copy_rows(connection: Connection, table: Table, rows: Iterable[Sequence[object]]) -> None:
    """Send many rows; their values stand in the table's order of columns."""
    async with connection.cursor().copy(table.copy) as copy:
        for row in rows:
            await copy.write_row(row)


async def insert_rows(
    connection: Connection, table: Table, rows: Iterable[Sequence[object]]
) -> None:
    """Send a few rows as one statement, for a pipeline."""
    columns = [as_array(map(_text, column)) for column in zip(*rows, strict=True)]
    if columns:
        await connection.execute(table.insert, columns)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"\\x{value.hex()}" if isinstance(value, bytes) else repr(value)
