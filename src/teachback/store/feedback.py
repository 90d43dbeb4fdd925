"""Feedback: the judgement in force for each natural key, and the earlier ones."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, LiteralString

from teachback.errors import NotFound
from teachback.model.feedback import Feedback, Selector
from teachback.store.copy import AddRows, Table, as_array, as_columns, as_json, as_time
from teachback.store.database import Connection, Cursor, Database, Row
from teachback.store.places import NOWHERE

_PLAIN: dict[str, LiteralString] = {
    "id": "text", "trace_id": "text", "span_id": "text", "session_id": "text",
    "submission_id": "text", "kind": "text", "name": "text", "source": "text", "author": "text",
    "identifier": "text", "confidence": "double precision", "score": "double precision",
    "scale": "text", "label": "text", "comment": "text", "correction": "text",
    "withdrawn": "boolean", "sanitized": "boolean",
}  # fmt: skip
_TIMES: dict[str, LiteralString] = {"occurred_at": "timestamptz", "received_at": "timestamptz"}
_plain_values = attrgetter(*_PLAIN)
_COLUMNS: dict[str, LiteralString] = {
    "project_id": "uuid", "place_id": "integer", "natural_key": "uuid", "negative": "boolean",
    "matched": "boolean", "digest": "bytea", "labels": "text[]", "selector": "jsonb",
    "metadata": "jsonb", **_TIMES, **_PLAIN,
}  # fmt: skip
_TABLE = Table.of("feedback", _COLUMNS)
_HISTORY = Table.of("feedback_history", _COLUMNS)


@dataclass(slots=True)
class NewFeedback:
    """A judgement on its way into the store."""

    project_id: str
    feedback: Feedback
    #: 32 hexadecimal digits.
    natural_key: str
    negative: bool
    digest: bytes
    #: Its target is there; found out while it is stored.
    matched: bool = False
    #: Place of its trace.
    place_id: int = NOWHERE

    @property
    def id(self) -> str:
        return self.feedback.id

    @property
    def order(self) -> tuple[datetime, str]:
        """The later of two judgements is the greater one, whichever arrived first."""
        return self.feedback.occurred_at, self.feedback.id


@dataclass(slots=True)
class Present:
    """What is there already, seen from a set of new judgements."""

    #: (project id, feedback id) → fingerprint
    digests: dict[tuple[str, str], bytes]
    #: (project id, natural key) → order of the judgement in force, locked until the commit
    in_force: dict[tuple[str, str], tuple[datetime, str]]


async def ask_present(connection: Connection, items: Sequence[NewFeedback]) -> Cursor:
    """Ask for the ids and natural keys of new judgements; locks those in force."""
    return await connection.execute(
        """
        with wanted as (
            select * from unnest(%s::uuid[], %s::text[], %s::uuid[])
                as wanted (project_id, id, natural_key)
        ), locked as (
            select project_id, id, natural_key, occurred_at, digest from feedback
            where (project_id, natural_key) in (select project_id, natural_key from wanted)
            order by project_id, natural_key for update
        )
        select project_id::text as project_id, id, digest, occurred_at,
               replace(natural_key::text, '-', '') as key
        from locked
        union all
        select f.project_id::text, f.id, f.digest, null, null
        from feedback f join wanted using (project_id, id)
        union all
        select h.project_id::text, h.id, h.digest, null, null
        from feedback_history h join wanted using (project_id, id)
        """,
        as_columns([(item.project_id, item.id, item.natural_key) for item in items]),
    )


async def read_present(cursor: Cursor) -> Present:
    """Read the answer to `ask_present`."""
    rows = await cursor.fetchall()
    return Present(
        {(row["project_id"], row["id"]): row["digest"] for row in rows},
        {
            (row["project_id"], row["key"]): (row["occurred_at"], row["id"])
            for row in rows
            if row["key"] is not None
        },
    )


async def add_current(connection: Connection, rows: Sequence[NewFeedback], add: AddRows) -> None:
    """Add judgements whose natural keys have none in force."""
    if rows:
        await add(connection, _TABLE, map(_row, rows))


async def add_history(connection: Connection, rows: Sequence[NewFeedback], add: AddRows) -> None:
    """Add judgements that a later one had replaced before they arrived."""
    if rows:
        await add(connection, _HISTORY, map(_row, rows))


async def retire_current(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Move the judgements in force under these keys to the history."""
    if keys:
        await connection.execute(
            """
            with retired as (
                delete from feedback
                where (project_id, natural_key) in (select * from unnest(%s::uuid[], %s::uuid[]))
                returning *
            ) insert into feedback_history select * from retired
            """,
            as_columns(keys),
        )


async def match_traces(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Mark feedback that was waiting for these (project id, trace id)."""
    await connection.execute(
        """
        with matched as (
            update feedback f set matched = true, place_id = t.place_id
            from unnest(%s::uuid[], %s::text[]) as here (project_id, id)
            join trace t using (project_id, id)
            where not f.matched and f.project_id = here.project_id and f.trace_id = here.id
            returning f.project_id, f.trace_id
        ) insert into search_waiting select distinct * from matched
        """,
        as_columns(keys),
    )


async def match_sessions(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Mark feedback that was waiting for these (project id, session id)."""
    if keys:
        await connection.execute(
            """
            update feedback set matched = true
            where not matched and trace_id is null
              and (project_id, session_id) in (select * from unnest(%s::uuid[], %s::text[]))
            """,
            as_columns(keys),
        )


async def match_waiting(db: Database) -> int:
    """Mark all waiting feedback whose target has arrived; return how many.

    Two transactions that add a feedback and its trace at the same moment do not see each other.
    """
    row = await db.one(
        """
        with matched as (
            update feedback f set matched = true, place_id = coalesce((
                select t.place_id from trace t
                where t.project_id = f.project_id and t.id = f.trace_id), 0)
            where not matched and (
                exists (select from trace t where t.project_id = f.project_id and t.id = f.trace_id)
                or exists (select from session s
                           where s.project_id = f.project_id and s.id = f.session_id))
            returning project_id, trace_id
        ), marked as (
            insert into search_waiting
            select distinct * from matched where trace_id is not null
        ), dirty as (
            insert into trend_dirty (project_id, at)
            select distinct t.project_id, date_trunc('hour', t.started_at, 'UTC')
            from matched m join trace t on t.project_id = m.project_id and t.id = m.trace_id
        ) select count(*) as n from matched
        """
    )
    assert row is not None  # an aggregate has one row
    return int(row["n"])


async def get_feedback(db: Database, project_id: str, feedback_id: str) -> Row:
    """Return the judgement in force that this id, or a later one of its key, names."""
    row = await db.one(
        """
        select f.*, f.natural_key::text as key from feedback f
        where project_id = %(project)s and (id = %(id)s or natural_key = (
            select natural_key from feedback_history
            where project_id = %(project)s and id = %(id)s))
        """,
        {"project": project_id, "id": feedback_id},
    )
    if row is None:
        raise NotFound(f"no feedback has the id {feedback_id!a} in this project")
    return row


async def list_by_ids(db: Database, project_id: str, feedback_ids: Sequence[str]) -> list[Row]:
    """Return the judgements in force that these ids, or later ones of their keys, name."""
    return await db.all(
        """
        select * from feedback where project_id = %(project)s and (
            id = any(%(ids)s) or natural_key in (
                select natural_key from feedback_history
                where project_id = %(project)s and id = any(%(ids)s)))
        order by occurred_at, id
        """,
        {"project": project_id, "ids": list(feedback_ids)},
    )


async def list_history(
    db: Database, project_id: str, keys: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[Feedback]]:
    """Return the earlier judgements under each natural key, oldest first."""
    rows = await db.all(
        """
        select * from feedback_history where project_id = %s and natural_key = any(%s)
        order by occurred_at, id limit 5000
        """,
        (project_id, list(keys)),
    )
    history: dict[uuid.UUID, list[Feedback]] = {}
    for row in rows:
        history.setdefault(row["natural_key"], []).append(from_row(row))
    return history


async def list_for_targets(
    db: Database, project_id: str, *, trace_ids: Sequence[str] = (), session_id: str | None = None
) -> list[Row]:
    """Return the feedback in force on these traces and this session, oldest first."""
    return await db.all(
        """
        select * from feedback
        where project_id = %(project)s and (trace_id = any(%(traces)s) or session_id = %(session)s)
        order by occurred_at, id limit 5000
        """,
        {"project": project_id, "traces": list(trace_ids), "session": session_id},
    )


def from_row(row: Row) -> Feedback:
    """Make a feedback of its row."""
    values: dict[str, Any] = {name: row[name] for name in (*_PLAIN, *_TIMES)}
    selector = row["selector"] and Selector(**row["selector"])
    return Feedback(
        **values, labels=tuple(row["labels"] or ()), selector=selector, metadata=row["metadata"]
    )


def _row(new: NewFeedback) -> tuple[object, ...]:
    feedback = new.feedback
    return (
        new.project_id,
        new.place_id,
        new.natural_key,
        new.negative,
        new.matched,
        new.digest,
        as_array(feedback.labels) if feedback.labels else None,
        as_json(feedback.selector),
        as_json(feedback.metadata),
        as_time(feedback.occurred_at),
        as_time(feedback.received_at),
        *_plain_values(feedback),
    )
