"""Run background work until told to stop."""

from __future__ import annotations

import asyncio

import structlog

from teachback.jobs import (
    CALIBRATE,
    CALIBRATE_PAUSE_S,
    EMBED,
    EMBED_PAUSE_S,
    LOOPS,
    Work,
    keep_reasons,
    register,
    run_loop,
)
from teachback.llm.embed import Embedder
from teachback.recall.calibration import Calibrating
from teachback.recall.embedding import Embedding
from teachback.store.database import Database
from teachback.store.jobs import POLL_S

log = structlog.get_logger()

#: Pause before a worker that lost the database tries again, in seconds.
RESTART_S = 2.0
#: How long running jobs may take to finish when the process stops.
GRACE_S = 20.0


async def run_worker(dsn: str, db: Database, embedder: Embedder | None = None) -> None:
    """Work until cancelled; a lost database is waited for."""
    works: tuple[tuple[str, float, Work], ...] = LOOPS
    if embedder:
        calibrating = Calibrating(embedder.model)
        works += (
            (EMBED, EMBED_PAUSE_S, Embedding(embedder)),
            (CALIBRATE, CALIBRATE_PAUSE_S, calibrating),
        )
    loops = [asyncio.create_task(run_loop(db, *loop)) for loop in works]
    try:
        await _run_jobs(dsn, db)
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


async def _run_jobs(dsn: str, db: Database) -> None:
    while True:
        try:
            async with register(dsn, db).open_async() as app:
                await app.run_worker_async(
                    concurrency=2,
                    fetch_job_polling_interval=POLL_S,
                    shutdown_graceful_timeout=GRACE_S,
                    install_signal_handlers=False,
                    worker_middleware=[keep_reasons(db)],
                )
            # A worker that lost its listener or heartbeat returns as if it had been asked to.
            log.warning("worker lost", error="side task")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever it was, work goes on when it is over
            log.warning("worker lost", error=type(error).__name__)
        await asyncio.sleep(RESTART_S)
