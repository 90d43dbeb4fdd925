"""Traces and their spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, LiteralString

from psycopg import sql

from teachback.errors import NotFound
from teachback.model.trace import ContextItem, Environment, Span, Trace
from teachback.store.contents import content_hash, find_contents, from_wire, to_wire
from teachback.store.copy import AddRows, Table, as_array, as_columns, as_json, as_time
from teachback.store.database import Connection, Cursor, Database, Row
from teachback.store.injections import NewInjection, add_injections
from teachback.store.places import Place, place_of
from teachback.store.versions import Version, versions_of
from teachback.store.where import Where, direction

_PLAIN: dict[str, LiteralString] = {
    "id": "text", "session_id": "text", "turn": "integer", "environment": "text",
    "user_id": "text", "role": "text", "surface": "text", "locale": "text", "release": "text",
    "request_model": "text", "response_model": "text", "provider": "text",
    "input_tokens": "integer", "output_tokens": "integer", "latency_ms": "double precision",
    "first_token_ms": "double precision", "cost_usd": "double precision", "error": "text",
    "query": "text", "output": "text", "sanitized": "boolean",
}  # fmt: skip
_TIMES: dict[str, LiteralString] = {"started_at": "timestamptz", "received_at": "timestamptz"}
_plain_values = attrgetter(*_PLAIN)
_OWN: dict[str, LiteralString] = {
    "project_id": "uuid", "place_id": "integer", "digest": "bytea", "context": "jsonb",
    "tags": "text[]", "metadata": "jsonb",
}  # fmt: skip
_TABLE = Table.of("trace", {**_OWN, **_TIMES, **_PLAIN})

_SPAN_PLAIN: dict[str, LiteralString] = {
    "id": "text", "parent_id": "text", "name": "text", "kind": "text",
    "latency_ms": "double precision", "input": "text", "output": "text", "error": "text",
}  # fmt: skip
_plain_span_values = attrgetter(*_SPAN_PLAIN)
_OWN_SPAN: dict[str, LiteralString] = {
    "project_id": "uuid", "trace_id": "text", "position": "integer", "metadata": "jsonb",
    "started_at": "timestamptz",
}  # fmt: skip
_SPANS = Table.of("span", {**_OWN_SPAN, **_SPAN_PLAIN})


@dataclass(frozen=True, slots=True)
class NewTrace:
    """A trace on its way into the store."""

    project_id: str
    trace: Trace
    #: Fingerprint of what was sent.
    digest: bytes
    #: Hash of each item of the context stack.
    hashes: tuple[bytes, ...]
    #: What the trace ran with.
    versions: tuple[Version, ...]
    place: Place

    @classmethod
    def of(cls, project_id: str, trace: Trace, digest: bytes) -> NewTrace:
        """Work out what the store needs beside the trace."""
        hashes = tuple(
            [
                from_wire(item.content_hash or "")
                if item.content is None
                else content_hash(item.content)
                for item in trace.context
            ]
        )
        return cls(
            project_id, trace, digest, hashes, versions_of(project_id, trace, hashes),
            place_of(project_id, trace, hashes),
        )  # fmt: skip

    @property
    def id(self) -> str:
        return self.trace.id


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there of the traces that were asked for, each by (project id, trace id)."""

    digests: dict[tuple[str, str], bytes]
    places: dict[tuple[str, str], int]


async def ask_kept(connection: Connection, keys: Sequence[tuple[str, str]]) -> Cursor:
    """Ask for fingerprint and place of those (project id, trace id) that are kept already."""
    return await connection.execute(
        """
        select project_id::text, id, digest, place_id from trace
        where (project_id, id) in (select * from unnest(%s::uuid[], %s::text[]))
        """,
        as_columns(keys),
    )


async def read_kept(cursor: Cursor) -> Kept:
    """Read the answer to `ask_kept`."""
    rows = await cursor.fetchall()
    return Kept(
        {(row["project_id"], row["id"]): row["digest"] for row in rows},
        {(row["project_id"], row["id"]): row["place_id"] for row in rows},
    )


async def add_traces(
    connection: Connection,
    traces: Sequence[NewTrace],
    places: Mapping[Place, int],
    add: AddRows,
) -> None:
    """Add traces that are not there yet, with their spans; contents are kept elsewhere."""
    await add(connection, _TABLE, [_trace_row(new, places[new.place]) for new in traces])
    spans = [row for new in traces for row in _span_rows(new)]
    if spans:
        await add(connection, _SPANS, spans)
    injections = [row for new in traces for row in _injections(new)]
    if injections:
        await add_injections(connection, injections, add)


async def get_trace(db: Database, project_id: str, trace_id: str) -> Trace:
    """Return a trace with its context and spans; raises NotFound."""
    found = await get_traces(db, project_id, [trace_id])
    if not found:
        raise NotFound(f"no trace has the id {trace_id!a} in this project")
    return found[0]


async def get_traces(db: Database, project_id: str, trace_ids: Sequence[str]) -> list[Trace]:
    """Return traces with their contexts and spans, in this order; those that are gone are left out.

    Whoever asks for many has bounded their size with `list_sizes`.
    """
    found = await find_traces(db, project_id, trace_ids)
    spans: dict[str, list[Span]] = {}
    for row in await db.all(
        "select * from span where project_id = %s and trace_id = any(%s) "
        "order by trace_id, position",
        (project_id, list(trace_ids)),
    ):
        spans.setdefault(row["trace_id"], []).append(_span_from_row(row))
    hashes = {from_wire(item.content_hash or "") for one in found.values() for item in one.context}
    texts = await find_contents(db, project_id, list(hashes)) if hashes else {}
    return [
        _whole(found[trace_id], spans.get(trace_id, ()), texts)
        for trace_id in trace_ids
        if trace_id in found
    ]


def _whole(trace: Trace, spans: Sequence[Span], texts: Mapping[bytes, str]) -> Trace:
    context = tuple(
        replace(item, content=texts.get(from_wire(item.content_hash or "")))
        for item in trace.context
    )
    return replace(trace, context=context, spans=tuple(spans))


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list of traces is narrowed to; None does not narrow."""

    trace_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    environment: Environment | None = None
    since: datetime | None = None
    until: datetime | None = None
    narrowed: Where | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """A trace of a list and what it weighs whole."""

    id: str
    started_at: datetime
    #: Bytes of its texts and metadata, contexts and spans included.
    size: int


async def list_traces(
    db: Database,
    project_id: str,
    filters: Filters | None = None,
    *,
    before: tuple[datetime, str] | None = None,
    oldest: bool = False,
    limit: int = 50,
) -> list[Trace]:
    """Return traces, newest or oldest first, without contents and spans.

    `before` is (started_at, id) of the last one seen.
    """
    rows = await _list(
        db, project_id, sql.SQL("*"), filters, before=before, oldest=oldest, limit=limit
    )
    return [from_row(row) for row in rows]


async def list_sizes(
    db: Database,
    project_id: str,
    filters: Filters | None = None,
    *,
    before: tuple[datetime, str] | None = None,
    oldest: bool = False,
    limit: int = 50,
) -> list[Size]:
    """Return the same list as `list_traces`, and how large each of its traces is whole."""
    rows = await _list(db, project_id, _SIZED, filters, before=before, oldest=oldest, limit=limit)
    return [Size(row["id"], row["started_at"], row["size"]) for row in rows]


#: Lengths of texts are read without the texts; those of metadata are not, and are rarely long.
#: What stands around the texts of an item or a span is counted as 200 bytes.
_SIZED = sql.SQL("""
    id, started_at,
    octet_length(query) + coalesce(octet_length(output), 0)
    + coalesce(octet_length(metadata::text), 0)
    + coalesce((
        select sum(200 + coalesce(octet_length(c.content), 0))
        from jsonb_array_elements(t.context) as item
        left join content c on c.project_id = t.project_id
            and c.hash = decode(substr(item->>'content_hash', 8), 'hex')), 0)
    + coalesce((
        select sum(200 + coalesce(octet_length(s.input), 0) + coalesce(octet_length(s.output), 0)
                   + coalesce(octet_length(s.metadata::text), 0))
        from span s where s.project_id = t.project_id and s.trace_id = t.id), 0) as size
""")


async def _list(
    db: Database,
    project_id: str,
    columns: sql.SQL,
    filters: Filters | None,
    *,
    before: tuple[datetime, str] | None,
    oldest: bool,
    limit: int,
) -> list[Row]:
    filters = filters or Filters()
    narrowed = filters.narrowed or Where(sql.SQL("true"))
    return await db.all(
        sql.SQL("""
        select {columns} from trace t
        where project_id = %(project)s
          and (%(trace)s::text is null or id = %(trace)s)
          and (%(session)s::text is null or session_id = %(session)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(environment)s::text is null or environment = %(environment)s)
          and (%(since)s::timestamptz is null or started_at >= %(since)s)
          and (%(until)s::timestamptz is null or started_at < %(until)s)
          and (%(at)s::timestamptz is null or (started_at, id) {beyond} (%(at)s, %(id)s))
          and {narrowed}
        order by started_at {order}, id {order} limit %(limit)s
        """).format(columns=columns, narrowed=narrowed.text, **direction(oldest=oldest)),
        {
            **narrowed.params,
            "project": project_id,
            "trace": filters.trace_id,
            "session": filters.session_id,
            "user": filters.user_id,
            "environment": filters.environment,
            "since": filters.since,
            "until": filters.until,
            "at": before and before[0],
            "id": before and before[1],
            "limit": limit,
        },
    )


async def list_turns(db: Database, project_id: str, session_id: str) -> list[Trace]:
    """Return the turns of a session in order, without contents and spans (at most 1,000)."""
    rows = await db.all(
        """
        select * from trace where project_id = %s and session_id = %s
        order by started_at, turn nulls last, id limit 1000
        """,
        (project_id, session_id),
    )
    return [from_row(row) for row in rows]


async def list_turn_ids(db: Database, project_id: str, session_id: str) -> list[str]:
    """Return the ids of a session's turns in the order of `list_turns`."""
    rows = await db.all(
        """
        select id from trace where project_id = %s and session_id = %s
        order by started_at, turn nulls last, id limit 1000
        """,
        (project_id, session_id),
    )
    return [row["id"] for row in rows]


async def find_outputs(db: Database, project_id: str, trace_ids: Sequence[str]) -> dict[str, Row]:
    """Return query, output and where-abouts of several traces, for lists of feedback."""
    rows = await db.all(
        """
        select id, left(query, 300) as query, left(output, 300) as output, environment, user_id,
               role, surface, locale, session_id, response_model, request_model
        from trace where project_id = %s and id = any(%s)
        """,
        (project_id, list(trace_ids)),
    )
    return {row["id"]: row for row in rows}


async def find_traces(db: Database, project_id: str, trace_ids: Sequence[str]) -> dict[str, Trace]:
    """Return several traces by their ids, without contents and spans."""
    rows = await db.all(
        "select * from trace where project_id = %s and id = any(%s)", (project_id, list(trace_ids))
    )
    return {row["id"]: from_row(row) for row in rows}


async def find_whole_outputs(
    db: Database, project_id: str, trace_ids: Sequence[str]
) -> dict[str, str | None]:
    """Return the outputs of several traces."""
    rows = await db.all(
        "select id, output from trace where project_id = %s and id = any(%s)",
        (project_id, list(trace_ids)),
    )
    return {row["id"]: row["output"] for row in rows}


async def find_span_outputs(
    db: Database, project_id: str, spans: Sequence[tuple[str, str]]
) -> dict[tuple[str, str | None], str | None]:
    """Return the outputs of several spans, given as (trace id, span id)."""
    rows = await db.all(
        """
        select trace_id, id, output from span
        where project_id = %s and (trace_id, id) in (select * from unnest(%s::text[], %s::text[]))
        """,
        (project_id, *as_columns(spans)),
    )
    return {(row["trace_id"], row["id"]): row["output"] for row in rows}


def from_row(row: Row) -> Trace:
    """Make a trace of its row; contents and spans are not in it."""
    context = tuple(ContextItem(**item) for item in row["context"] or [])
    values: dict[str, Any] = {name: row[name] for name in (*_PLAIN, *_TIMES)}
    return Trace(**values, context=context, tags=tuple(row["tags"] or ()), metadata=row["metadata"])


def _trace_row(new: NewTrace, place_id: int) -> tuple[object, ...]:
    trace = new.trace
    context = [_context_value(*pair) for pair in zip(trace.context, new.hashes, strict=True)]
    return (
        new.project_id,
        place_id,
        new.digest,
        as_json(context or None),
        as_array(trace.tags) if trace.tags else None,
        as_json(trace.metadata),
        as_time(trace.started_at),
        as_time(trace.received_at),
        *_plain_values(trace),
    )


def _context_value(item: ContextItem, digest: bytes) -> dict[str, object]:
    value: dict[str, object] = {"kind": item.kind, "content_hash": to_wire(digest)}
    # What is empty is left out: most context items have two or three of the five fields.
    if item.name:
        value["name"] = item.name
    if item.version:
        value["version"] = item.version
    if item.score is not None:
        value["score"] = item.score
    return value


def _span_rows(new: NewTrace) -> list[tuple[object, ...]]:
    return [
        (
            new.project_id,
            new.trace.id,
            position,
            as_json(span.metadata),
            as_time(span.started_at),
            *_plain_span_values(span),
        )
        for position, span in enumerate(new.trace.spans)
    ]


def _injections(new: NewTrace) -> list[NewInjection]:
    at = new.trace.started_at
    return [NewInjection(new.project_id, new.id, at, one) for one in new.trace.injections]


def _span_from_row(row: Row) -> Span:
    values: dict[str, Any] = {name: row[name] for name in _SPAN_PLAIN}
    return Span(**values, started_at=row["started_at"], metadata=row["metadata"])
