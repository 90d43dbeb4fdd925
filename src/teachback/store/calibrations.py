"""Calibrations of the recall gate, and what they are made of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from teachback.store.database import Database, Row
from teachback.store.lessons import CHANNEL
from teachback.store.live import Vector
from teachback.store.vectors import READ, read_vector

#: Queries that are held out, the newest; and exchanges among which they are looked for.
MAX_ASKED, MAX_SEEN = 5_000, 50_000
#: Exchanges that lessons in force were learned from.
MAX_LEARNED_FROM = 20_000
#: It is made anew when there are so many more exchanges: a tenth, and not for a handful.
GROWTH, FEW = 1.1, 10
#: Not sooner after the last time: who edits lesson after lesson would keep a core busy.
REST_S = 300
#: Whose an exchange is: an end user's, or a session's, or its own. One voice each.
_OWNER = "coalesce('u ' || t.user_id, 's ' || t.session_id, 't ' || t.id)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A project whose gate is to be calibrated."""

    project_id: str
    exchanges: int
    #: Differs as soon as a lesson in force changes.
    lessons: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A calibration, as it is kept."""

    model: str
    made_at: datetime
    weights: dict[str, float]
    queries: int
    #: Threshold, answered, wrong, upper bound.
    curve: list[tuple[float, int, int, float]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What somebody asked."""

    trace_id: str
    query: str
    owner: str
    vector: Vector


@dataclass(frozen=True, kw_only=True, slots=True)
class Taught:
    """A lesson in force, and the exchanges that it was learned from."""

    lesson_id: str
    situation: str
    #: None while there is none of the model.
    vector: Vector | None
    exchanges: tuple[Exchange, ...]


async def find_due(db: Database, model: str) -> Due | None:
    """Return a project with lessons in force that has grown or changed since its calibration."""
    row = await db.one(
        """
        with taught as (
            select project_id, concat_ws(' ', count(*), max(version), max(approved_at)) as lessons
            from (select l.project_id, l.version, v.approved_at from lesson l
                  join lesson_version v on v.project_id = l.project_id and v.lesson_id = l.id
                       and v.version = l.version
                  where l.state in ('canary', 'live') and l.killed_at is null) l group by 1
        )
        select t.project_id::text as project_id, t.lessons, e.exchanges
        from taught t
        cross join lateral (
            select count(*) as exchanges from embedding e
            join embedding_model m on m.id = e.model_id and m.name = %(model)s
            where e.project_id = t.project_id and e.kind = 'query') e
        left join recall_calibration c on c.project_id = t.project_id and c.model = %(model)s
        where c.project_id is null or c.made_at < now() - %(rest)s * interval '1 second' and (
              c.lessons <> t.lessons or e.exchanges >= c.exchanges * %(growth)s + %(few)s)
        order by c.made_at nulls first limit 1
        """,
        {"model": model, "growth": GROWTH, "few": FEW, "rest": REST_S},
    )
    return Due(**row) if row else None


async def save_calibration(db: Database, due: Due, made: Stored) -> None:
    """Keep a calibration in place of an earlier one, and tell all processes."""
    async with db.transaction() as connection:
        await connection.execute(
            """
            insert into recall_calibration (project_id, model, made_at, weights, queries, curve,
                exchanges, lessons)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (project_id, model) do update set made_at = excluded.made_at,
                weights = excluded.weights, queries = excluded.queries, curve = excluded.curve,
                exchanges = excluded.exchanges, lessons = excluded.lessons
            """,
            (due.project_id, made.model, made.made_at, json.dumps(made.weights), made.queries,
             json.dumps(made.curve), due.exchanges, due.lessons),
        )  # fmt: skip
        await connection.execute("select pg_notify(%s, %s)", (CHANNEL, due.project_id))


async def find_calibration(db: Database, project_id: str, model: str) -> Stored | None:
    """Return the calibration with a model, if there is one."""
    row = await db.one(
        "select model, made_at, weights, queries, curve from recall_calibration "
        "where project_id = %s and model = %s",
        (project_id, model),
    )
    if row is None:
        return None
    curve = [tuple(step) for step in row["curve"]]
    return Stored(**{**row, "curve": curve})


async def list_asked(db: Database, project_id: str, model: str) -> list[Exchange]:
    """Return the newest exchange with feedback of each end user, newest first."""
    rows = await db.all(
        f"""
        select trace_id, query, owner, vector from (
            select distinct on (owner) * from (
                select t.id as trace_id, left(t.query, %(read)s) as query, {_OWNER} as owner,
                       halfvec_send(e.vector) as vector, t.started_at
                from embedding e
                join embedding_model m on m.id = e.model_id and m.name = %(model)s
                join trace t on t.project_id = e.project_id and t.id = e.trace_id
                where e.project_id = %(project)s and e.kind = 'query'
                order by t.started_at desc limit %(seen)s) newest
            order by owner, started_at desc) each
        order by started_at desc, trace_id limit %(limit)s
        """,
        {"project": project_id, "model": model, "read": READ, "seen": MAX_SEEN, "limit": MAX_ASKED},
    )
    return [_exchange(row) for row in rows]


async def list_taught(db: Database, project_id: str, model: str) -> list[Taught]:
    """Return the lessons in force with what they were learned from."""
    lessons = await db.all(
        """
        select l.id, v.situation, halfvec_send(e.vector) as vector from lesson l
        join lesson_version v on v.project_id = l.project_id and v.lesson_id = l.id
             and v.version = l.version
        left join lesson_vector e on e.project_id = l.project_id and e.lesson_id = l.id
             and e.version = l.version and e.model = %s
        where l.project_id = %s and l.state in ('canary', 'live') and l.killed_at is null
          and v.approved_at is not null
        order by l.id
        """,
        (model, project_id),
    )
    learned: defaultdict[str, list[Exchange]] = defaultdict(list)
    for row in await _list_learned_from(db, project_id, model):
        learned[row["lesson_id"]].append(_exchange(row))
    return [
        Taught(
            lesson_id=row["id"], situation=row["situation"],
            vector=read_vector(row["vector"]) if row["vector"] is not None else None,
            exchanges=tuple(learned[row["id"]]),
        )
        for row in lessons
    ]  # fmt: skip


async def _list_learned_from(db: Database, project_id: str, model: str) -> Sequence[Row]:
    return await db.all(
        f"""
        select distinct on (l.id, t.id) l.id as lesson_id, t.id as trace_id,
               left(t.query, %(read)s) as query, {_OWNER} as owner,
               halfvec_send(e.vector) as vector
        from lesson l
        join lesson_version v on v.project_id = l.project_id and v.lesson_id = l.id
             and v.version = l.version
        cross join lateral unnest(v.provenance) as learned (feedback_id)
        join feedback f on f.project_id = l.project_id and f.id = learned.feedback_id
             and not f.withdrawn
        join trace t on t.project_id = l.project_id and t.id = f.trace_id
        join embedding_model m on m.name = %(model)s
        join embedding e on e.project_id = l.project_id and e.model_id = m.id
             and e.trace_id = t.id and e.kind = 'query'
        where l.project_id = %(project)s and l.state in ('canary', 'live')
          and l.killed_at is null
        order by l.id, t.id limit %(limit)s
        """,
        {"project": project_id, "model": model, "read": READ, "limit": MAX_LEARNED_FROM},
    )


def _exchange(row: Row) -> Exchange:
    return Exchange(row["trace_id"], row["query"], row["owner"], read_vector(row["vector"]))
