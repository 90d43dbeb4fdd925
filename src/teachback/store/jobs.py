"""The job queue on the same PostgreSQL: defer by name, so that no stage imports another."""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

#: Notifications announce new jobs only; retries and scheduled ones are found by polling.
POLL_S = 0.5
#: A worker that has sent no heartbeat for this long is dead, and its jobs are done again.
STALLED_S = 30


def queue(dsn: str) -> App:
    """Return the queue of this database; it is opened with `async with app.open_async()`."""
    return App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=3))
