"""Sessions: start, end and number of turns, kept as their traces arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg import sql

from teachback.errors import NotFound
from teachback.model.trace import Environment, Session, Trace
from teachback.store.copy import as_columns
from teachback.store.database import Connection, Cursor, Database, Row
from teachback.store.where import Where, direction


async def add_turns(connection: Connection, traces: Sequence[tuple[str, Trace]]) -> None:
    """Count newly stored traces, given as (project id, trace), into their sessions."""
    turns = [(project, trace) for project, trace in traces if trace.session_id is not None]
    if not turns:
        return
    # Sorted, so that concurrent transactions lock the sessions in one order.
    await connection.execute(
        """
        insert into session (project_id, id, user_id, environment, started_at, ended_at, turns)
        select project_id, id, max(user_id), min(environment), min(at), max(at), count(*)
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
             as turn (project_id, id, user_id, environment, at)
        group by project_id, id order by project_id, id
        on conflict (project_id, id) do update set
            user_id = coalesce(session.user_id, excluded.user_id),
            started_at = least(session.started_at, excluded.started_at),
            ended_at = greatest(session.ended_at, excluded.ended_at),
            turns = session.turns + excluded.turns
        """,
        as_columns(
            [
                (
                    project,
                    trace.session_id,
                    trace.user_id,
                    trace.environment,
                    trace.started_at.isoformat(),
                )
                for project, trace in turns
            ]
        ),
    )


async def ask_known(connection: Connection, keys: Sequence[tuple[str, str]]) -> Cursor:
    """Ask which of these (project id, session id) are known."""
    return await connection.execute(
        """
        select project_id::text, id from session
        where (project_id, id) in (select * from unnest(%s::uuid[], %s::text[]))
        """,
        as_columns(keys),
    )


async def read_known(cursor: Cursor) -> set[tuple[str, str]]:
    """Read the answer to `ask_known`."""
    return {(row["project_id"], row["id"]) for row in await cursor.fetchall()}


async def get_session(db: Database, project_id: str, session_id: str) -> Session:
    """Return a session; raises NotFound."""
    row = await db.one(
        "select * from session where project_id = %s and id = %s", (project_id, session_id)
    )
    if row is None:
        raise NotFound(f"no session has the id {session_id!a} in this project")
    return from_row(row)


async def list_sessions(
    db: Database,
    project_id: str,
    *,
    user_id: str | None = None,
    environment: Environment | None = None,
    narrowed: Where | None = None,
    before: tuple[datetime, str] | None = None,
    oldest: bool = False,
    limit: int = 50,
) -> list[Session]:
    """Return sessions by their last turn, newest or oldest first."""
    narrowed = narrowed or Where(sql.SQL("true"))
    rows = await db.all(
        sql.SQL("""
        select * from session s
        where project_id = %(project)s
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(environment)s::text is null or environment = %(environment)s)
          and (%(at)s::timestamptz is null or (ended_at, id) {beyond} (%(at)s, %(id)s))
          and {narrowed}
        order by ended_at {order}, id {order} limit %(limit)s
        """).format(narrowed=narrowed.text, **direction(oldest=oldest)),
        {
            **narrowed.params,
            "project": project_id,
            "user": user_id,
            "environment": environment,
            "at": before and before[0],
            "id": before and before[1],
            "limit": limit,
        },
    )
    return [from_row(row) for row in rows]


async def find_openings(
    db: Database, project_id: str, session_ids: Sequence[str]
) -> dict[str, Row]:
    """Return the first query of several sessions, and how much feedback their turns have."""
    rows = await db.all(
        """
        with turn as (
            select session_id, id, started_at, turn, left(query, 300) as query from trace
            where project_id = %(project)s and session_id = any(%(sessions)s)
        ), said as (
            select t.session_id, count(*) as feedback,
                   count(*) filter (where f.negative) as negative
            from turn t join feedback f on f.project_id = %(project)s and f.trace_id = t.id
            where not f.withdrawn group by t.session_id
        )
        select distinct on (turn.session_id) turn.session_id, query,
               coalesce(feedback, 0) as feedback, coalesce(negative, 0) as negative
        from turn left join said on said.session_id = turn.session_id
        order by turn.session_id, started_at, turn nulls last, id
        """,
        {"project": project_id, "sessions": list(session_ids)},
    )
    return {row["session_id"]: row for row in rows}


def from_row(row: Row) -> Session:
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        environment=row["environment"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        turns=row["turns"],
    )
