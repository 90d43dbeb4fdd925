"""Injections: which lessons were considered for a request, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import LiteralString

from teachback.model.ids import new_id
from teachback.model.recall import Injection
from teachback.store.copy import AddRows, Table, as_time, copy_rows
from teachback.store.database import Connection, Database, Row

_PLAIN: dict[str, LiteralString] = {
    "lesson_id": "text", "version": "integer", "rank": "integer", "score": "double precision",
    "position": "integer", "tokens": "integer", "variant": "text",
    "propensity": "double precision", "reason": "text",
}  # fmt: skip
_plain_values = attrgetter(*_PLAIN)
_OWN: dict[str, LiteralString] = {
    "project_id": "uuid", "id": "uuid", "trace_id": "text", "at": "timestamptz",
}  # fmt: skip
_TABLE = Table.of("injection", {**_OWN, **_PLAIN})
#: Shown on one trail; an agent may ask for lessons many times.
MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class NewInjection:
    """An injection on its way into the store."""

    project_id: str
    trace_id: str
    at: datetime
    injection: Injection


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredInjection:
    """An injection with the wording of its lesson at that time."""

    at: datetime
    injection: Injection
    #: None when the lesson is not kept here.
    kind: str | None
    text: str | None
    answer: str | None


async def add_injections(
    connection: Connection, rows: Iterable[NewInjection], add: AddRows = copy_rows
) -> None:
    """Add injections in the connection's transaction."""
    await add(connection, _TABLE, map(_row, rows))


async def save_injections(db: Database, rows: Sequence[NewInjection]) -> None:
    """Add injections."""
    async with db.transaction() as connection:
        await add_injections(connection, rows)


async def list_for_trace(db: Database, project_id: str, trace_id: str) -> list[StoredInjection]:
    """Return what was considered for a trace, in the order in which it was."""
    rows = await db.all(
        """
        select i.*, l.kind, v.text, v.answer
        from injection i
        left join lesson l on l.project_id = i.project_id and l.id = i.lesson_id
        left join lesson_version v on v.project_id = i.project_id and v.lesson_id = i.lesson_id
             and v.version = i.version
        where i.project_id = %s and i.trace_id = %s
        order by i.at, i.position nulls last, i.rank, i.id limit %s
        """,
        (project_id, trace_id, MAX_SHOWN),
    )
    return [_from_row(row) for row in rows]


async def count_given(db: Database, project_id: str, lesson_ids: Sequence[str]) -> dict[str, int]:
    """Return how many requests were given each of these lessons."""
    rows = await db.all(
        """
        select lesson_id, count(*) as n from injection
        where project_id = %s and lesson_id = any(%s) and variant = 'injected'
          and position is not null
        group by lesson_id
        """,
        (project_id, list(lesson_ids)),
    )
    return {row["lesson_id"]: row["n"] for row in rows}


def _row(new: NewInjection) -> tuple[object, ...]:
    return (
        new.project_id, new_id(), new.trace_id, as_time(new.at), *_plain_values(new.injection),
    )  # fmt: skip


def _from_row(row: Row) -> StoredInjection:
    return StoredInjection(
        at=row["at"],
        injection=Injection(**{name: row[name] for name in _PLAIN}),
        kind=row["kind"],
        text=row["text"],
        answer=row["answer"],
    )
