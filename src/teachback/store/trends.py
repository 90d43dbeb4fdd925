"""Roll-ups for trends: marked out of date with each record, made anew by the worker.

A read takes days, then hours, that are up to date from the cells, and the rest from the records:
in one statement, so that it is exact right after any write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from psycopg import sql

from teachback.model.trend import Step
from teachback.store.copy import as_columns
from teachback.store.database import Connection, Database, Row
from teachback.store.where import Where

#: Hours made anew in one transaction.
BATCH = 24
#: An hour is worked off when it has been dirty for this long, in seconds, and for this many times
#: what that took the last time: a busy hour costs a tenth of a core, however much it holds.
SETTLE_S, PATIENCE = 1.0, 10
#: The hour of a project that sends millions may take its time.
REFRESH_TIMEOUT = "10min"
#: Any fixed number, other than those of migrations and set-up: one process works at a time.
LOCK = 8_700_004
DIMENSIONS = ("model", "prompt", "environment", "role", "surface", "locale", "release")
_SUMS = (
    "traces", "failed", "judged", "negative", "corrected", "feedback", "latency_n", "latency_sum",
    "latency_squares", "cost_n", "cost_sum", "cost_squares",
)  # fmt: skip


async def mark_dirty(
    connection: Connection,
    started: Iterable[tuple[str, datetime]],
    judged: Sequence[tuple[str, str]],
) -> None:
    """Mark the hours of new traces, (project id, start), and of judged ones, (project, trace)."""
    hours = sorted({(project, _hour(at)) for project, at in started})
    if hours:
        await connection.execute(
            """
            insert into trend_dirty (project_id, at)
            select * from unnest(%s::uuid[], %s::timestamptz[])
            """,
            as_columns(hours),
        )
    if judged:
        await connection.execute(
            """
            insert into trend_dirty (project_id, at)
            select distinct t.project_id, date_trunc('hour', t.started_at, 'UTC') from trace t
            where (t.project_id, t.id) in (select * from unnest(%s::uuid[], %s::text[]))
            """,
            as_columns(judged),
        )


def _hour(at: datetime) -> str:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0).isoformat()


async def refresh(db: Database) -> int:
    """Make the cells of some dirty hours anew, and of their days; return the hours worked off.

    The marks go first: what is recorded while the cells are made leaves a mark of its own.
    """
    async with db.transaction() as connection:
        lock = await connection.execute("select pg_try_advisory_xact_lock(%s) as mine", (LOCK,))
        if not (await lock.fetchone() or {})["mine"]:
            return 0
        await connection.execute(
            sql.SQL("set local statement_timeout = {}").format(REFRESH_TIMEOUT)
        )
        taken = await connection.execute(
            """
            with hour as (
                select project_id, at from trend_dirty left join trend_pace using (project_id, at)
                group by project_id, at, took
                having min(marked_at) <= clock_timestamp() - greatest(
                    %(settle)s * interval '1 s', coalesce(took, interval '0') * %(patience)s)
                order by min(marked_at), at desc limit %(batch)s
            ), gone as (
                delete from trend_dirty d using hour
                where d.project_id = hour.project_id and d.at = hour.at
            ) select * from hour
            """,
            {"settle": SETTLE_S, "patience": PATIENCE, "batch": BATCH},
        )
        hours = [(str(row["project_id"]), row["at"].isoformat()) for row in await taken.fetchall()]
        if hours:
            for statement in _REFRESH:
                await connection.execute(statement, dict(zip("pa", as_columns(hours), strict=True)))
    return len(hours)


_HOURS: LiteralString = """
    with hour as (
        select * from unnest(%(p)s::uuid[], %(a)s::timestamptz[]) as hour (project_id, at)
    )
"""
_DAYS: LiteralString = """
    with day as (
        select distinct project_id, date_trunc('day', at, 'UTC') as at
        from unnest(%(p)s::uuid[], %(a)s::timestamptz[]) as hour (project_id, at)
    )
"""
_SLICE: LiteralString = """md5(jsonb_build_array(
    t.model, t.prompt, t.environment, t.role, t.surface, t.locale, t.release)::text)::uuid"""
#: `offset 0` keeps the planner from turning the ranges of time into one scan of everything.
_PLACES: LiteralString = """
    hour cross join lateral (
        select * from trend_place t where t.project_id = hour.project_id
            and t.started_at >= hour.at and t.started_at < hour.at + interval '1 hour' offset 0) t
"""
_TRACES: LiteralString = """
    hour cross join lateral (
        select * from trend_trace t where t.project_id = hour.project_id
            and t.started_at >= hour.at and t.started_at < hour.at + interval '1 hour' offset 0) t
"""
_GONE: LiteralString = """
    with gone as (
        select project_id, 'hour' as width, at
        from unnest(%(p)s::uuid[], %(a)s::timestamptz[]) as hour (project_id, at)
        union
        select project_id, 'day', date_trunc('day', at, 'UTC')
        from unnest(%(p)s::uuid[], %(a)s::timestamptz[]) as hour (project_id, at)
    )
"""
_ARE_GONE: LiteralString = """ c using gone
    where c.project_id = gone.project_id and c.width = gone.width and c.at = gone.at"""
_CELL_SUMS: LiteralString = """
    count(*), sum(failed), sum(judged), sum(negative), sum(corrected), sum(feedback),
    count(latency_ms), coalesce(sum(latency_ms), 0), coalesce(sum(latency_ms * latency_ms), 0),
    count(cost_usd), coalesce(sum(cost_usd), 0), coalesce(sum(cost_usd * cost_usd), 0)
"""
_REFRESH: tuple[LiteralString, ...] = (
    _GONE + "delete from trend_cell" + _ARE_GONE,
    _GONE + "delete from trend_reason" + _ARE_GONE,
    _GONE + "delete from trend_score" + _ARE_GONE,
    _HOURS + """
    insert into trend_slice
    select distinct t.project_id, """ + _SLICE + """, t.model, t.prompt, t.environment, t.role,
           t.surface, t.locale, t.release
    from """ + _PLACES + " on conflict do nothing",
    _HOURS + "insert into trend_cell select t.project_id, 'hour', hour.at, " + _SLICE + ", "
    + _CELL_SUMS + " from " + _TRACES + " group by 1, 2, 3, 4",
    _HOURS + "insert into trend_reason select t.project_id, 'hour', hour.at, " + _SLICE + """,
           given.reason, count(distinct t.id)
    from """ + _PLACES + """
    join trend_feedback f on f.project_id = t.project_id and f.trace_id = t.id
        and f.kind = 'reasons' and f.source = 'end_user'
    cross join unnest(f.labels) as given (reason) group by 1, 2, 3, 4, 5""",
    _HOURS + "insert into trend_score select t.project_id, 'hour', hour.at, " + _SLICE + """,
           f.name, count(*), sum(f.score), sum(f.score * f.score)
    from """ + _PLACES + """
    join trend_feedback f on f.project_id = t.project_id and f.trace_id = t.id
        and f.score is not null group by 1, 2, 3, 4, 5""",
    _DAYS + """
    insert into trend_cell
    select c.project_id, 'day', day.at, c.slice_id, sum(traces), sum(failed), sum(judged),
           sum(negative), sum(corrected), sum(feedback), sum(latency_n), sum(latency_sum),
           sum(latency_squares), sum(cost_n), sum(cost_sum), sum(cost_squares)
    from day join trend_cell c on c.project_id = day.project_id and c.width = 'hour'
        and c.at >= day.at and c.at < day.at + interval '1 day' group by 1, 2, 3, 4""",
    _DAYS + """
    insert into trend_reason
    select c.project_id, 'day', day.at, c.slice_id, c.reason, sum(c.traces)
    from day join trend_reason c on c.project_id = day.project_id and c.width = 'hour'
        and c.at >= day.at and c.at < day.at + interval '1 day' group by 1, 2, 3, 4, 5""",
    _DAYS + """
    insert into trend_score
    select c.project_id, 'day', day.at, c.slice_id, c.name, sum(c.n), sum(c.total), sum(c.squares)
    from day join trend_score c on c.project_id = day.project_id and c.width = 'hour'
        and c.at >= day.at and c.at < day.at + interval '1 day' group by 1, 2, 3, 4, 5""",
    _HOURS + """
    insert into trend_pace
    select project_id, at, clock_timestamp() - transaction_timestamp() from hour
    on conflict (project_id, at) do update set took = excluded.took""",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a read is about; since and until are whole days in UTC, or whole hours by the hour."""

    project_id: str
    since: datetime
    until: datetime
    step: Step
    narrowed: Where


async def read_cells(db: Database, about: About, *, by: Sequence[str]) -> list[Row]:
    """Return the sums of each step and combination of dimensions."""
    sums = sql.SQL(", ").join(
        sql.SQL("sum({0}) as {0}").format(sql.Identifier(name)) for name in _SUMS
    )
    return await _read(db, about, _CELLS, sums, by=by)


async def read_reasons(db: Database, about: About, *, by: Sequence[str]) -> list[Row]:
    """Return the traces with each reason, of each step; `by` may hold `reason`."""
    return await _read(db, about, _REASONS, sql.SQL("sum(traces) as traces"), by=by)


async def read_scores(db: Database, about: About, name: str, *, by: Sequence[str]) -> list[Row]:
    """Return count, sum and squares of the scores under a name, of each step."""
    sums = sql.SQL("sum(n) as n, sum(total) as total, sum(squares) as squares")
    return await _read(db, about, _SCORES, sums, by=by, name=name)


async def _read(
    db: Database, about: About, source: LiteralString, sums: sql.Composable, *,
    by: Sequence[str], name: str = "",
) -> list[Row]:  # fmt: skip
    keys = [sql.SQL("{} as {}").format(sql.Identifier(one), sql.Identifier(f"key_{place}"))
            for place, one in enumerate(by)]  # fmt: skip
    statement = sql.SQL(_FRESH + source + """
        select date_trunc({step}, at, 'UTC') as at, {columns} from cell
        where {narrowed} group by {groups}
    """).format(
        step=sql.Literal(about.step),
        columns=sql.SQL(", ").join([*keys, sums]),
        groups=sql.SQL(", ").join(sql.Literal(n + 1) for n in range(len(by) + 1)),
        narrowed=about.narrowed.text,
    )  # fmt: skip
    return await db.all(statement, {
        "project": about.project_id, "since": about.since, "until": about.until,
        "hourly": about.step == "hour", "name": name, **about.narrowed.params,
    })  # fmt: skip


#: Which days are whole in the cells, and which hours of the others are.
_FRESH: LiteralString = """
    with hour as materialized (
        select distinct project_id, at from trend_dirty
        where project_id = %(project)s and at >= %(since)s and at < %(until)s
    ), opened as materialized (
        select distinct date_trunc('day', at, 'UTC') as at from hour
        union select generate_series(
            date_trunc('day', %(since)s::timestamptz, 'UTC'), %(until)s, interval '1 day')
        where %(hourly)s
    ),
"""
#: Days and hours are two ranges of the key each; joined by `or`, they would be none, and
#: `offset 0` keeps the planner from looking every slice up on its own.
_WHOLE: LiteralString = """
    whole as materialized (
        select * from {cells} c
        where c.project_id = %(project)s and c.width = 'day'
          and c.at >= %(since)s and c.at < %(until)s and c.at not in (select at from opened)
          and {condition}
        union all
        select c.* from opened cross join lateral (
            select * from {cells} c
            where c.project_id = %(project)s and c.width = 'hour' and c.at >= opened.at
              and c.at < opened.at + interval '1 day' and {condition} offset 0) c
        where c.at >= %(since)s and c.at < %(until)s and c.at not in (select at from hour)
    ),
"""
_CELLS: LiteralString = _WHOLE.format(cells="trend_cell", condition="true") + """
    cell as (
        select c.*, s.model, s.prompt, s.environment, s.role, s.surface, s.locale, s.release
        from whole c join trend_slice s on s.project_id = %(project)s and s.id = c.slice_id
        union all
        select t.project_id, 'hour', hour.at, null, 1, failed, judged, negative, corrected,
               feedback, (latency_ms is not null)::int, coalesce(latency_ms, 0),
               coalesce(latency_ms * latency_ms, 0), (cost_usd is not null)::int,
               coalesce(cost_usd, 0), coalesce(cost_usd * cost_usd, 0),
               model, prompt, environment, role, surface, locale, release
        from """ + _TRACES + ")"  # fmt: skip
_REASONS: LiteralString = _WHOLE.format(cells="trend_reason", condition="true") + """
    cell as (
        select c.at, c.reason, c.traces,
               s.model, s.prompt, s.environment, s.role, s.surface, s.locale, s.release
        from whole c join trend_slice s on s.project_id = %(project)s and s.id = c.slice_id
        union all
        select hour.at, given.reason, count(distinct t.id),
               model, prompt, environment, role, surface, locale, release
        from """ + _PLACES + """
        join trend_feedback f on f.project_id = t.project_id and f.trace_id = t.id
            and f.kind = 'reasons' and f.source = 'end_user'
        cross join unnest(f.labels) as given (reason)
        group by 1, 2, 4, 5, 6, 7, 8, 9, 10)
"""  # fmt: skip
_SCORES: LiteralString = _WHOLE.format(cells="trend_score", condition="c.name = %(name)s") + """
    cell as (
        select c.at, c.n, c.total, c.squares,
               s.model, s.prompt, s.environment, s.role, s.surface, s.locale, s.release
        from whole c join trend_slice s on s.project_id = %(project)s and s.id = c.slice_id
        union all
        select hour.at, 1, f.score, f.score * f.score,
               model, prompt, environment, role, surface, locale, release
        from """ + _PLACES + """
        join trend_feedback f on f.project_id = t.project_id and f.trace_id = t.id
            and f.name = %(name)s and f.score is not null)
"""  # fmt: skip
