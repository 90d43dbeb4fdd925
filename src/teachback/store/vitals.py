"""What the database tells about its own state, for metrics: one cheap query."""

from __future__ import annotations

from dataclasses import dataclass

from teachback.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """Figures of the moment."""

    jobs_failed: int
    #: How long the job waits that is due for longest, in seconds; 0 when none waits.
    oldest_job_s: float
    database_bytes: int
    #: Marks of exchanges that search does not know yet, and of hours not summed up yet.
    search_waiting: int
    trends_waiting: int
    #: Exchanges whose vectors are out of date.
    vectors_waiting: int
    #: The write-ahead log on disk; None when the database's user may not look.
    wal_bytes: int | None


async def read_vitals(db: Database) -> Vitals:
    """Ask the database; raises Unavailable."""
    row = await db.one(
        """
        select (select count(*) from procrastinate_jobs where status = 'failed') as jobs_failed,
               (select coalesce(extract(epoch from now() - min(coalesce(j.scheduled_at, e.at))), 0)
                  from procrastinate_jobs j
                  left join procrastinate_events e on e.job_id = j.id and e.type = 'deferred'
                 where j.status = 'todo' and coalesce(j.scheduled_at, now()) <= now()
               )::float8 as oldest_job_s,
               (select count(*) from search_waiting) as search_waiting,
               (select count(*) from trend_dirty) as trends_waiting,
               (select count(*) from embedding_waiting) as vectors_waiting,
               pg_database_size(current_database()) as database_bytes,
               has_function_privilege('pg_ls_waldir()', 'execute') as may_see_wal
        """
    )
    assert row is not None  # a select without FROM always has one row
    may_see_wal = row.pop("may_see_wal")
    return Vitals(**row, wal_bytes=await _wal_bytes(db) if may_see_wal else None)


async def tidy(db: Database) -> None:
    """Do at once, after a large load, what the database's own housekeeping does in time."""
    async with db.pool.connection() as connection:
        # Outside of a transaction, and for as long as it takes.
        await connection.execute("set statement_timeout = 0")
        try:
            await connection.execute("vacuum (analyze)")
        finally:
            await connection.execute("reset statement_timeout")


async def _wal_bytes(db: Database) -> int:
    row = await db.one("select coalesce(sum(size), 0)::bigint as bytes from pg_ls_waldir()")
    assert row is not None  # an aggregate always has one row
    return int(row["bytes"])
