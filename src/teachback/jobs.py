"""The only list of background work: job name → function."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from procrastinate import App, JobContext
from procrastinate.middleware import AsyncCallNext, WorkerMiddleware
from procrastinate.worker import Worker

from teachback.errors import TeachbackError, Unavailable
from teachback.store import feedback, idempotency, lessons, logins, retention, search, trends
from teachback.store.database import Database
from teachback.store.jobs import STALLED_S, queue, save_failure

log = structlog.get_logger()

Work = Callable[[Database], Awaitable[int]]

#: Name, schedule (cron), work. Each may run twice, or late, without harm.
PERIODIC: tuple[tuple[str, str, Work], ...] = (
    ("record.match_waiting", "* * * * *", feedback.match_waiting),
    ("lessons.count_judgements", "*/10 * * * *", lessons.count_judgements),
    ("record.forget_old", "7 * * * *", retention.forget_old),
    ("access.delete_expired_logins", "17 * * * *", logins.delete_expired),
    ("access.delete_old_answers", "37 * * * *", idempotency.delete_old),
)
#: Name, pause in seconds when nothing is to do, work: what follows each record within moments.
#: Each works off what waits in a table, so it may stop anywhere, and run beside itself.
LOOPS: tuple[tuple[str, float, Work], ...] = (
    ("search.make_documents", 0.5, search.make_documents),
    ("trends.refresh", 0.5, trends.refresh),
    ("search.count_words", 15.0, search.count_words),
)
#: As above, where an embedder is configured.
EMBED, EMBED_PAUSE_S = "recall.embed", 0.5
CALIBRATE, CALIBRATE_PAUSE_S = "recall.calibrate", 60.0
RETRY_STALLED = "jobs.retry_stalled"
#: Finished jobs are kept for a day, failed ones for a month.
KEEP_FINISHED_H, KEEP_FAILED_H = 24, 24 * 30
DELETE_OLD = "jobs.delete_old"


def register(dsn: str, db: Database) -> App:
    """Return the job queue with all work registered."""
    app = queue(dsn)
    for name, cron, work in PERIODIC:
        _periodic(app, db, name, cron, work)

    @app.periodic(cron="* * * * *")
    @app.task(name=RETRY_STALLED, queueing_lock=RETRY_STALLED, pass_context=True)
    async def retry_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it by name
        manager = context.app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
            await manager.retry_job(job)

    @app.periodic(cron="47 3 * * *")
    @app.task(name=DELETE_OLD, queueing_lock=DELETE_OLD, pass_context=True)
    async def delete_old(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it by name
        manager = context.app.job_manager
        await manager.delete_old_jobs(nb_hours=KEEP_FINISHED_H)
        await manager.delete_old_jobs(nb_hours=KEEP_FAILED_H, include_failed=True)

    return app


async def run_loop(db: Database, name: str, pause_s: float, work: Work) -> None:
    """Do this work whenever there is some, until cancelled; what fails is tried again."""
    while True:
        try:
            touched = await work(db)
        except Exception as error:  # whatever it was, the work still waits
            log.warning("loop failed", name=name, reason=_reason(error))
            touched = 0
        # Work that goes on leaves the others their turn.
        await asyncio.sleep(0 if touched else pause_s)


def keep_reasons(db: Database) -> WorkerMiddleware:
    """Return what goes around each job of a worker: the reason of a failure is kept."""

    async def run(call_next: AsyncCallNext, context: JobContext, _worker: Worker) -> object:
        try:
            return await call_next()
        except Exception as error:
            await _keep_reason(db, context.job.id, error)
            raise

    return run


async def _keep_reason(db: Database, job_id: int | None, error: Exception) -> None:
    assert job_id is not None  # a job that runs has been stored
    with contextlib.suppress(Unavailable):  # the job's own error is the one to tell
        await save_failure(db, job_id, _reason(error))


def _reason(error: Exception) -> str:
    """Say what went wrong; messages that are not ours may quote what a user wrote."""
    if isinstance(error, TeachbackError):
        return f"{type(error).__name__}: {error.message}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"


def _periodic(app: App, db: Database, name: str, cron: str, work: Work) -> None:
    @app.periodic(cron=cron)
    @app.task(name=name, queueing_lock=name)
    async def run(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it by name
        touched = await work(db)
        if touched:
            log.info("job", name=name, touched=touched)
