"""What a narrowed list is made of: how often each value occurs among the latest of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import errors, sql

from teachback.store.database import Database, Row
from teachback.store.where import Where

#: The latest so many are counted: enough to choose from, and quick however large the project is.
COUNTED = 1_000
#: Longest that counting may take: a page is not kept waiting by what is beside its list.
PATIENCE_MS = 150


@dataclass(frozen=True, kw_only=True, slots=True)
class Facets:
    """Values with their counts, most frequent first, by field."""

    #: Among the latest COUNTED; the list has more when this is greater.
    total: int
    values: Mapping[str, list[tuple[str, int]]]


async def count_feedback(db: Database, project_id: str, narrowed: Where) -> Facets | None:
    """Count the values of fields among feedback; None when that takes too long."""
    return await _count(db, _FEEDBACK, project_id, narrowed)


async def count_sessions(db: Database, project_id: str, narrowed: Where) -> Facets | None:
    """Count the values of fields among sessions, each once for all of its turns, or give up."""
    return await _count(db, _SESSIONS, project_id, narrowed)


async def _count(
    db: Database, statement: sql.SQL, project_id: str, narrowed: Where
) -> Facets | None:
    query = statement.format(narrowed=narrowed.text)
    async with db.transaction() as connection:
        await connection.execute(
            "select set_config('statement_timeout', %s, true)", (f"{PATIENCE_MS}ms",)
        )
        try:
            async with connection.transaction():
                cursor = await connection.execute(query, _params(project_id, narrowed))
                return _read(await cursor.fetchall())
        except errors.QueryCanceled:
            return None


def _params(project_id: str, narrowed: Where) -> dict[str, object]:
    return {"project": project_id, "most": COUNTED + 1, **narrowed.params}


def _read(rows: list[Row]) -> Facets:
    values: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        if row["value"] is not None:
            values.setdefault(row["field"], []).append((row["value"], row["n"]))
    total = next((row["n"] for row in rows if row["field"] == "total"), 0)
    return Facets(total=total, values=values)


_FEEDBACK = sql.SQL("""
    with found as materialized (
        select f.id, f.place_id, f.source, f.labels from feedback f
        where f.project_id = %(project)s and {narrowed}
        order by f.occurred_at desc, f.id desc limit %(most)s
    ), seen as materialized (
        select found.*, p.role, p.surface, p.locale, p.environment, p.release, p.model
        from found left join place p on p.project_id = %(project)s and p.id = found.place_id
    ), counted as (
        select field, value, count(*) as n
        from seen, lateral (values ('source', source), ('role', role), ('surface', surface),
            ('locale', locale), ('environment', environment), ('release', release),
            ('model', model)) as each (field, value)
        where value <> '' group by field, value
        union all
        select 'reason', label, count(*) from seen, unnest(labels) as label group by label
        union all
        select 'tag', m.tag, count(*) from found
        join tag m on m.project_id = %(project)s and m.target_kind = 'feedback'
                  and m.target_id = found.id
        group by m.tag
    )
    select 'total' as field, null as value, count(*) as n from found
    union all
    (select * from counted order by n desc, value limit 500)
""")
_SESSIONS = sql.SQL("""
    with found as materialized (
        select s.id, s.environment from session s
        where s.project_id = %(project)s and {narrowed}
        order by s.ended_at desc, s.id desc limit %(most)s
    ), seen as (
        select distinct t.session_id, each.field, each.value
        from found join trace t on t.project_id = %(project)s and t.session_id = found.id
        join place p on p.project_id = %(project)s and p.id = t.place_id,
        lateral (values ('role', p.role), ('surface', p.surface), ('locale', p.locale),
            ('environment', p.environment), ('release', p.release), ('model', p.model)
        ) as each (field, value)
        where each.value <> ''
    ), counted as (
        select field, value, count(*) as n from seen group by field, value
    )
    select 'total' as field, null as value, count(*) as n from found
    union all
    (select * from counted order by n desc, value limit 500)
""")
