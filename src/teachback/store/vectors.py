"""Vectors: what waits for them, which model they are of, and the nearest to a given one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from teachback.store.copy import Table, as_array, as_columns, copy_binary
from teachback.store.database import Connection, Database
from teachback.store.places import NOWHERE, find_places
from teachback.store.where import Where

Kind = Literal["query", "complaint"]
#: Code points of a text that are embedded: models read less.
READ = 8_000
#: A worker that took marks has so long; then another takes them.
LEASE_S = 120
#: Vectors of a project up to which all are compared: exact, and some ten milliseconds.
EXACT = 20_000
#: A model with more vectors than this gets an index.
INDEXED_FROM = 20_000
#: Candidates kept while an index is walked: recall against time.
EF_SEARCH = 100
#: Any fixed number, other than those of migrations and other work.
MODEL_LOCK = 8_700_005


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose vectors are kept."""

    id: int
    name: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Mark:
    """An exchange whose vectors are out of date."""

    project_id: str
    trace_id: str
    mark: int


@dataclass(frozen=True, slots=True)
class Text:
    """What is embedded of an exchange."""

    project_id: str
    trace_id: str
    kind: Kind
    text: str
    place_id: int = NOWHERE


@dataclass(frozen=True, slots=True)
class NewVector:
    """A text's vector, ready to be kept."""

    text: Text
    text_hash: bytes
    #: In PostgreSQL's binary format.
    vector: bytes


@dataclass(frozen=True, slots=True)
class Near:
    """An exchange near a vector, and by which of its texts."""

    id: str
    kind: Kind
    cosine: float


def as_vector(numbers: Sequence[float]) -> str:
    """Write numbers as PostgreSQL reads a vector."""
    return msgspec.json.encode(numbers).decode()


def as_bytes(numbers: Sequence[float]) -> bytes:
    """Write numbers as PostgreSQL sends a halfvec; each must be within half precision."""
    return struct.pack(f">HH{len(numbers)}e", len(numbers), 0, *numbers)


async def mark_waiting(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Note (project id, trace id), each once, whose vectors are out of date."""
    if keys:
        await connection.execute(
            """
            insert into embedding_waiting (project_id, trace_id)
            select * from unnest(%s::uuid[], %s::text[])
            on conflict (project_id, trace_id) do update set mark = excluded.mark
            """,
            as_columns(keys),
        )


async def use_model(db: Database, name: str, dimensions: int) -> Model:
    """Return the model of this name; a new one has all exchanges with feedback wait for it."""
    found = await _find_model(db, name)
    if found is not None:
        return found
    async with db.transaction() as connection:
        await connection.execute("select pg_advisory_xact_lock(%s)", (MODEL_LOCK,))
        # The primary key of what waits is the whole exchange: all marks become one bounded set.
        await connection.execute("set local statement_timeout = 0")
        await connection.execute(
            """
            insert into embedding_waiting (project_id, trace_id)
            select f.project_id, f.trace_id from feedback f where f.trace_id is not null
            group by 1, 2 order by 1, 2
            on conflict (project_id, trace_id) do update set mark = excluded.mark
            """
        )
        await connection.execute(
            """
            insert into embedding_model (name, dimensions, filled_to, complete)
            values (%s, %s, nextval('embedding_mark'),
                    not exists (select from embedding_model where complete))
            on conflict (name) do nothing
            """,
            (name, dimensions),
        )
    found = await _find_model(db, name)
    assert found is not None  # it has just been added
    return found


async def _find_model(db: Database, name: str) -> Model | None:
    row = await db.one("select id, name, dimensions from embedding_model where name = %s", (name,))
    return Model(**row) if row else None


async def find_serving(db: Database) -> Model | None:
    """Return the model whose vectors answer searches: the latest that is complete."""
    row = await db.one(
        "select id, name, dimensions from embedding_model where complete order by id desc limit 1"
    )
    return Model(**row) if row else None


async def list_answering(db: Database, name: str) -> list[Model]:
    """Return the models whose vectors answer a search: the serving one, then that of this name.

    The second is there while its vectors are being made: it knows what the first has not seen.
    """
    rows = await db.all(
        """
        select id, name, dimensions from embedding_model
        where id = (select max(id) from embedding_model where complete) or name = %s
        order by complete desc, id desc
        """,
        (name,),
    )
    return [Model(**row) for row in rows]


async def take(db: Database, limit: int) -> list[Mark]:
    """Take some waiting exchanges for a while, the newest first."""
    rows = await db.all(
        """
        update embedding_waiting set taken_until = now() + %s * interval '1 second'
        where (project_id, trace_id) in (
            select project_id, trace_id from embedding_waiting
            where taken_until is null or taken_until < now()
            order by mark desc limit %s for update skip locked)
        returning project_id::text as project_id, trace_id, mark
        """,
        (LEASE_S, limit),
    )
    return [Mark(**row) for row in rows]


async def list_texts(db: Database, marks: Sequence[Mark]) -> list[Text]:
    """Return what these exchanges have to embed: the user's turn, and all complaints as one."""
    rows = await db.all(
        """
        with wanted as (
            select * from unnest(%s::uuid[], %s::text[]) as wanted (project_id, trace_id)
        )
        select w.project_id::text as project_id, w.trace_id, 'query' as kind,
               left(t.query, %s) as text, t.place_id
        from wanted w join trace t on t.project_id = w.project_id and t.id = w.trace_id
        union all
        select w.project_id::text, w.trace_id, 'complaint',
               left(string_agg(left(f.comment, 8000), E'\n' order by f.occurred_at), %s),
               max(f.place_id)
        from wanted w
        join feedback f on f.project_id = w.project_id and f.trace_id = w.trace_id
        where not f.withdrawn and f.comment is not null
          and (f.negative or f.kind in ('annotation', 'comment'))
        group by 1, 2
        """,
        [*as_columns([(mark.project_id, mark.trace_id) for mark in marks]), READ, READ],
    )
    return [Text(**row) for row in rows if row["text"].strip()]


async def find_known(
    db: Database, model: Model, keys: Sequence[tuple[str, bytes]]
) -> dict[tuple[str, bytes], bytes]:
    """Return the vectors kept for texts of these (project id, hash)."""
    if not keys:
        return {}
    columns = as_columns([(project, f"\\x{digest.hex()}") for project, digest in keys])
    rows = await db.all(
        """
        select distinct on (e.project_id, e.text_hash) e.project_id::text as project_id,
               e.text_hash, halfvec_send(e.vector) as vector
        from unnest(%s::uuid[], %s::bytea[]) as wanted (project_id, text_hash)
        join embedding e on e.project_id = wanted.project_id and e.text_hash = wanted.text_hash
        where e.model_id = %s
        """,
        [*columns, model.id],
    )
    return {(row["project_id"], bytes(row["text_hash"])): bytes(row["vector"]) for row in rows}


async def save_vectors(
    db: Database, model: Model, marks: Sequence[Mark], vectors: Sequence[NewVector]
) -> None:
    """Keep the vectors of these exchanges, and forget the marks that have not moved meanwhile.

    A withdrawn complaint is found no more. Two who save the same exchange at once may meet: the
    later one fails, and its marks are worked off again.
    """
    said = {(v.text.project_id, v.text.trace_id, v.text.kind): v for v in vectors}
    taken = sorted((mark.project_id, mark.trace_id, str(mark.mark)) for mark in marks)
    async with db.transaction() as connection:
        kept = await connection.execute(_KEEP, [
            *_columns([key[:2] for key in taken], 2),
            *_columns([
                (*key, f"\\x{v.text_hash.hex()}", str(v.text.place_id)) for key, v in said.items()
            ], 5),
            model.id, model.id,
        ])  # fmt: skip
        known = {(row["project_id"], row["trace_id"], row["kind"]) for row in await kept.fetchall()}
        new = [said[key] for key in sorted(said.keys() - known)]
        if new:
            await copy_binary(connection, _TABLE, (_binary(model, vector) for vector in new))
        if taken:
            await connection.execute(_FORGET_MARKS, as_columns(taken))


def _columns(rows: Sequence[Sequence[str]], count: int) -> list[str]:
    return as_columns(rows) if rows else ["{}"] * count


def _binary(model: Model, new: NewVector) -> tuple[bytes, ...]:
    text = new.text
    return (
        UUID(text.project_id).bytes, struct.pack(">i", model.id), text.trace_id.encode(),
        text.kind.encode(), new.text_hash, struct.pack(">i", text.place_id), new.vector,
    )  # fmt: skip


_TABLE = Table.of(
    "embedding",
    {
        "project_id": "uuid", "model_id": "integer", "trace_id": "text", "kind": "text",
        "text_hash": "bytea", "place_id": "integer", "vector": "halfvec",
    },
)  # fmt: skip
#: Vectors of other texts, or of another place, go; of those that stay, the keys.
_KEEP = """
    with taken as (
        select * from unnest(%s::uuid[], %s::text[]) as taken (project_id, trace_id)
    ), said as materialized (
        select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::integer[])
            as said (project_id, trace_id, kind, text_hash, place_id)
    ), gone as (
        delete from embedding e using taken
        where e.project_id = taken.project_id and e.model_id = %s and e.trace_id = taken.trace_id
          and (e.project_id, e.trace_id, e.kind, e.text_hash, e.place_id)
              not in (select * from said)
    )
    select e.project_id::text as project_id, e.trace_id, e.kind
    from said join embedding e on e.project_id = said.project_id and e.model_id = %s
        and e.trace_id = said.trace_id and e.kind = said.kind and e.text_hash = said.text_hash
        and e.place_id = said.place_id
"""
_FORGET_MARKS = """
    with taken as (
        select * from unnest(%s::uuid[], %s::text[], %s::bigint[])
            as taken (project_id, trace_id, mark)
    ), changed as (
        update embedding_waiting w set taken_until = null from taken
        where w.project_id = taken.project_id and w.trace_id = taken.trace_id
          and w.mark <> taken.mark
    )
    delete from embedding_waiting w using taken
    where w.project_id = taken.project_id and w.trace_id = taken.trace_id and w.mark = taken.mark
"""


async def finish(db: Database, model: Model) -> None:
    """Let a model serve once it is complete, make its index, and drop what it replaces."""
    await db.run(
        """
        update embedding_model set complete = true
        where id = %s and not complete
          and not exists (select from embedding_waiting where mark <= filled_to)
        """,
        (model.id,),
    )
    serving = await find_serving(db)
    if serving == model:
        await _drop_older(db, model)
        await make_index(db, model)


async def _drop_older(db: Database, model: Model) -> None:
    old = await db.all("select id from embedding_model where id < %s", (model.id,))
    for row in old:
        async with db.transaction() as connection:
            await connection.execute("set local statement_timeout = 0")
            index = sql.Identifier(_index_name(row["id"]))
            await connection.execute(sql.SQL("drop index if exists {}").format(index))
            await connection.execute("delete from embedding_model where id = %s", (row["id"],))


async def make_index(db: Database, model: Model, *, above: int = INDEXED_FROM) -> None:
    """Index the model's vectors when there are many; records go on being stored meanwhile."""
    row = await db.one(
        """
        select (select count(*) from (select from embedding where model_id = %s limit %s) few)
               as vectors, to_regclass(%s) as index
        """,
        (model.id, above + 1, _index_name(model.id)),
    )
    assert row is not None  # a select without FROM has one row
    if row["index"] is not None or row["vectors"] <= above:
        return
    async with db.transaction() as connection:
        await connection.execute("set local statement_timeout = 0")
        await connection.execute("set local maintenance_work_mem = '256MB'")
        await connection.execute(
            sql.SQL(
                "create index if not exists {name} on embedding using hnsw "
                "((vector::halfvec({width})) halfvec_ip_ops) where model_id = {model}"
            ).format(
                name=sql.Identifier(_index_name(model.id)),
                width=sql.Literal(model.dimensions),
                model=sql.Literal(model.id),
            )
        )


def _index_name(model_id: int) -> str:
    return f"embedding_near_{model_id}"


async def nearest(
    db: Database,
    project_id: str,
    model: Model,
    vector: Sequence[float],
    *,
    limit: int,
    ids: Sequence[str] | None = None,
    narrowed: Where | None = None,
    exact: int = EXACT,
) -> list[Near]:
    """Return the exchanges nearest to a unit vector, each text of theirs by itself, best first.

    All are compared where there are few, or where `ids` names the traces; in a large project an
    index is walked until enough are found that meet the conditions on their trace, and where it
    ends before, all that meet them are compared.
    """
    narrowed = narrowed or Where(sql.SQL("true"))
    places = await find_places(db, project_id, narrowed)
    if places == "{}":
        return []
    params = {
        **narrowed.params,
        "project": project_id, "near": as_vector(vector), "limit": limit,
        "places": places,
        "ids": as_array(ids) if ids is not None else None,
    }  # fmt: skip
    rows = []
    if ids is None and await _is_large(db, project_id, model, exact):
        async with db.transaction() as connection, connection.pipeline():
            await connection.execute(_ITERATE, (str(EF_SEARCH),))
            found = await connection.execute(_ranked(model, narrowed, indexed=True), params)
            rows = await found.fetchall()
    if len(rows) < limit:
        rows = await db.all(_ranked(model, narrowed, indexed=False), params)
    return [Near(row["trace_id"], row["kind"], row["cosine"]) for row in rows]


async def read_queries(
    db: Database, project_id: str, model: Model, trace_ids: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Return the vectors that are kept of what was asked, by trace."""
    rows = await db.all(
        "select trace_id, halfvec_send(vector) as vector from embedding where project_id = %s "
        "and model_id = %s and trace_id = any(%s) and kind = 'query'",
        (project_id, model.id, list(trace_ids)),
    )
    return {row["trace_id"]: read_vector(row["vector"]) for row in rows}


def read_vector(raw: bytes) -> NDArray[np.float32]:
    """Read pgvector's binary form: two shorts, then half floats, all in network order."""
    return np.frombuffer(raw, ">f2", offset=4).astype(np.float32)


async def _is_large(db: Database, project_id: str, model: Model, exact: int) -> bool:
    row = await db.one(
        "select count(*) as n from (select from embedding where project_id = %s and model_id = %s "
        "limit %s) few",
        (project_id, model.id, exact + 1),
    )
    assert row is not None  # an aggregate has one row
    return int(row["n"]) > exact


_ITERATE = (
    "select set_config('hnsw.iterative_scan', 'strict_order', true), "
    "set_config('hnsw.ef_search', %s, true)"
)


_TRACE = sql.SQL(
    "exists (select from trace t where t.project_id = e.project_id and t.id = e.trace_id and {})"
)


def _ranked(model: Model, narrowed: Where, *, indexed: bool) -> sql.Composed:
    """Order by the indexed expression, or by one that no index has."""
    typed = sql.SQL("vector::halfvec({})").format(sql.Literal(model.dimensions))
    return sql.SQL(
        """
        select trace_id, kind, -(vector <#> %(near)s::halfvec) as cosine from embedding e
        where project_id = %(project)s and model_id = {model} and {placed} and {narrowed}
          and (%(ids)s::text[] is null or trace_id = any(%(ids)s::text[]))
        order by {key} <#> %(near)s::halfvec limit %(limit)s
        """
    ).format(
        model=sql.Literal(model.id),
        placed=sql.SQL("place_id = any(%(places)s::integer[])" if narrowed.places else "true"),
        narrowed=_TRACE.format(narrowed.of_trace) if narrowed.of_trace else sql.SQL("true"),
        key=sql.SQL("({})").format(typed) if indexed else sql.SQL("vector"),
    )
