"""Roll-ups for trends: marked out of date with each record, made anew by the worker.

A read takes days, then hours, that are up to date from the cells, and makes the cells of the rest
from the records: in one statement, so that it is exact right after any write.
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


async def waiting(db: Database) -> int:
    """Return how many marks of hours are not worked off."""
    row = await db.one("select count(*) as n from trend_dirty")
    assert row is not None  # an aggregate has one row
    return int(row["n"])


#: The hours to make, and the days that they are in.
_HOURS: LiteralString = """
    with hour as materialized (
        select * from unnest(%(p)s::uuid[], %(a)s::timestamptz[]) as hour (project_id, at)
    ), day as materialized (
        select distinct project_id, date_trunc('day', at, 'UTC') as at from hour
    )
"""
#: The records of these hours. `offset 0` keeps the planner from turning ranges of time, and single
#: traces, into one scan of everything.
_SEEN: LiteralString = """,
    seen as materialized (
        select hour.project_id, hour.at, t.* from hour cross join lateral (
            select t.id, t.place_id, t.error is not null as failed,
                   -- Larger values are nobody's, and their squares would not fit.
                   case when t.latency_ms <= 1e100 then t.latency_ms end as latency_ms,
                   case when t.cost_usd <= 1e100 then t.cost_usd end as cost_usd
            from trace t where t.project_id = hour.project_id and t.started_at >= hour.at
                and t.started_at < hour.at + interval '1 hour' offset 0) t
    ), said as materialized (
        select seen.project_id, seen.at, seen.place_id, seen.id, f.*,
               f.source = 'end_user' and f.kind <> 'implicit' as judges
        from seen cross join lateral (
            select f.kind, f.name, f.source, f.negative, f.correction is not null as corrects,
                   f.labels, f.score
            from trend_feedback f
            where f.project_id = seen.project_id and f.trace_id = seen.id offset 0) f
    )
"""
_HOUR_CELLS: LiteralString = """,
    counted as (
        select project_id, at, place_id, count(*)::int as traces,
               count(*) filter (where failed)::int as failed,
               count(latency_ms)::int as latency_n, coalesce(sum(latency_ms), 0) as latency_sum,
               coalesce(sum(latency_ms * latency_ms), 0) as latency_squares,
               count(cost_usd)::int as cost_n, coalesce(sum(cost_usd), 0) as cost_sum,
               coalesce(sum(cost_usd * cost_usd), 0) as cost_squares
        from seen group by project_id, at, place_id
    ), judged as (
        select project_id, at, place_id, count(*) filter (where judged)::int as judged,
               count(*) filter (where negative)::int as negative,
               count(*) filter (where corrected)::int as corrected, sum(n)::int as feedback
        from (select project_id, at, place_id, id, bool_or(judges) as judged,
                     bool_or(judges and negative) as negative,
                     bool_or(source = 'end_user' and corrects) as corrected, count(*) as n
              from said group by project_id, at, place_id, id) as trace
        group by project_id, at, place_id
    ), given as (
        select project_id, at, place_id, array_agg(reason order by reason) as reasons,
               array_agg(n order by reason) as given
        from (select project_id, at, place_id, reason, count(distinct id)::int as n
              from said cross join unnest(labels) as reason
              where kind = 'reasons' and source = 'end_user'
              group by project_id, at, place_id, reason) as each
        group by project_id, at, place_id
    ), made as (
        select project_id, 'hour' as width, at, place_id, traces, failed,
               coalesce(judged, 0) as judged, coalesce(negative, 0) as negative,
               coalesce(corrected, 0) as corrected, coalesce(feedback, 0) as feedback,
               latency_n, latency_sum, latency_squares, cost_n, cost_sum, cost_squares,
               reasons, given
        from counted left join judged using (project_id, at, place_id)
        left join given using (project_id, at, place_id)
    )
"""
_HOUR_SCORES: LiteralString = """,
    made as (
        select project_id, 'hour' as width, at, place_id, name, count(*)::int as n,
               sum(score) as total, sum(score * score) as squares
        from said where score is not null group by project_id, at, place_id, name
    )
"""
_GONE: LiteralString = """ c using (
    select project_id, 'hour' as width, at from hour union select project_id, 'day', at from day
) as gone where c.project_id = gone.project_id and c.width = gone.width and c.at = gone.at"""
_OF_DAY: LiteralString = """c on c.project_id = day.project_id and c.width = 'hour'
    and c.at >= day.at and c.at < day.at + interval '1 day'"""
_REFRESH: tuple[LiteralString, ...] = (
    _HOURS + "delete from trend_cell" + _GONE,
    _HOURS + "delete from trend_score" + _GONE,
    _HOURS + _SEEN + _HOUR_CELLS + "insert into trend_cell select * from made",
    _HOURS + _SEEN + _HOUR_SCORES + "insert into trend_score select * from made",
    _HOURS + """
    insert into trend_cell
    select sums.*, listed.reasons, listed.given
    from (select c.project_id, 'day', day.at, c.place_id, sum(traces), sum(failed), sum(judged),
                 sum(negative), sum(corrected), sum(feedback), sum(latency_n), sum(latency_sum),
                 sum(latency_squares), sum(cost_n), sum(cost_sum), sum(cost_squares)
          from day join trend_cell """ + _OF_DAY + """ group by c.project_id, day.at, c.place_id
    ) as sums (project_id, width, at, place_id)
    left join (
        select project_id, at, place_id, array_agg(reason order by reason) as reasons,
               array_agg(n order by reason) as given
        from (select c.project_id, day.at, c.place_id, each.reason, sum(each.n)::int as n
              from day join trend_cell """ + _OF_DAY + """
              cross join unnest(c.reasons, c.given) as each (reason, n)
              group by c.project_id, day.at, c.place_id, each.reason) as told
        group by project_id, at, place_id
    ) as listed using (project_id, at, place_id)""",
    _HOURS + """
    insert into trend_score
    select c.project_id, 'day', day.at, c.place_id, c.name, sum(c.n), sum(c.total), sum(c.squares)
    from day join trend_score """ + _OF_DAY + " group by c.project_id, day.at, c.place_id, c.name",
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
    #: Conditions on places.
    narrowed: Where


async def read_cells(db: Database, about: About, *, by: Sequence[str]) -> list[Row]:
    """Return the sums of each step and combination of dimensions."""
    sums = _listed("sum({0}) as {0}", _SUMS)
    return await _read(db, about, _CELLS + _GROUPED, by=by, sums=sums)


async def read_reasons(db: Database, about: About, *, by: Sequence[str]) -> list[Row]:
    """Return the traces judged, of each step, and those with each reason; `by` holds no `reason`.

    The key `reason` is null, and `given` zero, where `judged` is told.
    """
    return await _read(db, about, _CELLS + _REASONS, by=by)


async def read_scores(db: Database, about: About, name: str, *, by: Sequence[str]) -> list[Row]:
    """Return count, sum and squares of the scores under a name, of each step."""
    sums = _listed("sum({0}) as {0}", ("n", "total", "squares"))
    return await _read(db, about, _SCORES + _GROUPED, by=by, sums=sums, name=name)


def _listed(form: LiteralString, names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(form).format(sql.Identifier(name)) for name in names)


async def _read(
    db: Database, about: About, source: LiteralString, *, by: Sequence[str], name: str = "",
    **parts: sql.Composable,
) -> list[Row]:  # fmt: skip
    keys = [sql.SQL("{} as {}").format(sql.Identifier(one), sql.Identifier(f"key_{place}"))
            for place, one in enumerate(by)]  # fmt: skip
    comma = sql.SQL(", ")
    statement = sql.SQL(_FRESH + source).format(
        step=sql.Literal(about.step),
        narrowed=about.narrowed.places or sql.SQL("true"),
        picked=comma.join([sql.SQL("p.id"), *keys]),
        keys=comma.join([sql.SQL(""), *(sql.Identifier(f"key_{n}") for n in range(len(by)))]),
        groups=comma.join(sql.Literal(n + 1) for n in range(len(by) + 1)),
        reason=sql.Literal(len(by) + 2),
        **parts,
    )
    return await db.all(statement, {
        "project": about.project_id, "since": about.since, "until": about.until,
        "hourly": about.step == "hour", "name": name, **about.narrowed.params,
    })  # fmt: skip


#: Which places are asked for, which days are whole in the cells, and which hours of the others are.
_FRESH: LiteralString = """
    with picked as materialized (
        select {picked} from place p where p.project_id = %(project)s and {narrowed}
    ), hour as materialized (
        select distinct project_id, at from trend_dirty
        where project_id = %(project)s and at >= %(since)s and at < %(until)s
    ), opened as materialized (
        select distinct date_trunc('day', at, 'UTC') as at from hour
        union select generate_series(
            date_trunc('day', %(since)s::timestamptz, 'UTC'), %(until)s, interval '1 day')
        where %(hourly)s
    )
"""
#: Days and hours are two ranges of the key each; joined by `or`, they would be none.
_WHOLE: LiteralString = """,
    cell as (
        select c.* from {cells} c
        where c.project_id = %(project)s and c.width = 'day'
          and c.at >= %(since)s and c.at < %(until)s and c.at not in (select at from opened)
          and {condition}
        union all
        select c.* from opened cross join lateral (
            select * from {cells} c
            where c.project_id = %(project)s and c.width = 'hour' and c.at >= opened.at
              and c.at < opened.at + interval '1 day' and {condition} offset 0) c
        where c.at >= %(since)s and c.at < %(until)s and c.at not in (select at from hour)
        union all
        select c.* from made c where {condition}
    )
"""
_CELLS: LiteralString = (
    _SEEN + _HOUR_CELLS + _WHOLE.replace("{cells}", "trend_cell").replace("{condition}", "true")
)
_SCORES: LiteralString = (
    _SEEN
    + _HOUR_SCORES
    + _WHOLE.replace("{cells}", "trend_score").replace("{condition}", "c.name = %(name)s")
)
_GROUPED: LiteralString = """
    select date_trunc({step}, at, 'UTC') as at{keys}, {sums}
    from cell join picked on picked.id = cell.place_id group by {groups}
"""
_REASONS: LiteralString = """,
    told as materialized (
        select date_trunc({step}, at, 'UTC') as at{keys}, judged, reasons, given
        from cell join picked on picked.id = cell.place_id
    )
    select at{keys}, null as reason, sum(judged) as judged, 0 as given from told group by {groups}
    union all
    select at{keys}, each.reason, 0, sum(each.n)
    from told cross join unnest(reasons, given) as each (reason, n) group by {groups}, {reason}
"""
