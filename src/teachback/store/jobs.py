"""The job queue on the same PostgreSQL: defer by name, so that no stage imports another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from procrastinate import App, PsycopgConnector
from psycopg import errors

from teachback.errors import Conflict, NotFound
from teachback.store.database import Database, Row

#: Notifications announce new jobs only; retries and scheduled ones are found by polling.
POLL_S = 0.5
#: A worker that has sent no heartbeat for this long is dead, and its jobs are done again.
STALLED_S = 30


def queue(dsn: str) -> App:
    """Return the queue of this database; it is opened with `async with app.open_async()`."""
    return App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=3))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One piece of background work, as the queue has it."""

    id: int
    name: str
    #: todo, doing, succeeded, failed, cancelled or aborted.
    status: str
    #: How often it was started and did not come to its end.
    attempts: int
    #: When it was put in the queue.
    deferred_at: datetime | None
    #: Why it failed the last time, and when.
    reason: str | None
    failed_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> Job:
        return cls(**row)


_JOBS = """
    select j.id, j.task_name as name, j.status::text as status, j.attempts, f.reason, f.failed_at,
           (select min(e.at) from procrastinate_events e
             where e.job_id = j.id and e.type = 'deferred') as deferred_at
      from procrastinate_jobs j left join job_failure f on f.job_id = j.id
"""


async def list_jobs(db: Database, *, failed: bool = False, limit: int = 200) -> list[Job]:
    """Return the newest jobs; with `failed`, those that have given up."""
    rows = await db.all(
        _JOBS + " where j.status = 'failed' or not %s order by j.id desc limit %s", (failed, limit)
    )
    return [Job.from_row(row) for row in rows]


async def failed_ids(db: Database) -> list[int]:
    """Return the ids of all jobs that have given up, oldest first."""
    rows = await db.all("select id from procrastinate_jobs where status = 'failed' order by id")
    return [row["id"] for row in rows]


async def retry_failed(db: Database, job_id: int) -> None:
    """Put a failed job into the queue again; raises NotFound, or Conflict beside a waiting twin."""
    try:
        found = await db.one(
            "select procrastinate_retry_job_v2(id, now(), null, null, null) "
            "from procrastinate_jobs where id = %s and status = 'failed'",
            (job_id,),
        )
    except errors.UniqueViolation:
        raise Conflict(
            f"job {job_id} need not run again: the same work waits in the queue already"
        ) from None
    if found is None:
        raise NotFound(f"no failed job has the id {job_id}: see `teachback jobs list --failed`")


async def save_failure(db: Database, job_id: int, reason: str) -> None:
    """Keep why a job failed, in place of an earlier reason."""
    await db.run(
        "insert into job_failure (job_id, reason, failed_at) values (%s, %s, now()) "
        "on conflict (job_id) do update set reason = excluded.reason, failed_at = now()",
        (job_id, reason),
    )
