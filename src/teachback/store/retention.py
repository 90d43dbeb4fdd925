"""Retention: what is older than its project keeps is removed, a few records at a time.

A trace goes with everything about it, a session with its last trace; feedback without either goes
by its own time. Search, vectors and trends follow by their marks, as after any other change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from teachback.store.database import Connection, Database

#: Traces, or feedback, removed in one transaction.
BATCH = 500
#: Shared texts looked at in one.
TEXTS = 5_000
#: A text's last use is noted to within two days, and a trace may begin a day after its receipt.
SPARED = timedelta(days=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What a project no longer keeps."""

    project_id: str
    #: Records of before this time go: a whole hour, so that trends lose whole hours.
    before: datetime


async def forget_old(db: Database) -> int:
    """Remove what projects no longer keep; return how many traces and feedback went.

    May stop anywhere, and run beside itself: each batch is a transaction that takes what no other
    holds. After each it rests as long as it worked, for the sake of those who record.
    """
    removed = 0
    for due in await _list_due(db):
        removed += await _until_none(lambda due=due: remove_traces(db, due))  # type: ignore[misc]
        removed += await _until_none(lambda due=due: remove_feedback(db, due))  # type: ignore[misc]
        await remove_texts(db, due)
    return removed


async def _list_due(db: Database) -> list[Due]:
    rows = await db.all(
        """
        select id::text as project_id,
               date_trunc('hour', now() - keep_days * interval '1 day', 'UTC') as before
        from project where keep_days > 0 order by id
        """
    )
    return [Due(project_id=row["project_id"], before=row["before"]) for row in rows]


async def _until_none(batch: Callable[[], Awaitable[int]]) -> int:
    total = 0
    while True:
        begun = time.monotonic()
        removed = await batch()
        if not removed:
            return total
        total += removed
        await asyncio.sleep(time.monotonic() - begun)


async def remove_traces(db: Database, due: Due, *, limit: int = BATCH) -> int:
    """Remove some old traces with all that belongs to them; return how many."""
    async with db.transaction() as connection:
        cursor = await connection.execute(
            """
            select id, session_id from trace where project_id = %s and started_at < %s
            order by started_at, id limit %s for update skip locked
            """,
            (due.project_id, due.before, limit),
        )
        rows = await cursor.fetchall()
        ids = [row["id"] for row in rows]
        if ids:
            await _remove_judgements(connection, due.project_id, traces=ids)
            for statement in _OF_TRACES:
                await connection.execute(statement, {"project": due.project_id, "ids": ids})
            named = [row["session_id"] for row in rows if row["session_id"] is not None]
            await _leave_sessions(connection, due.project_id, named)
    return len(ids)


async def remove_feedback(db: Database, due: Due, *, limit: int = BATCH) -> int:
    """Remove some old feedback whose target is not there; return how many."""
    async with db.transaction() as connection:
        cursor = await connection.execute(
            """
            select id from feedback f where project_id = %(project)s and occurred_at < %(before)s
              and not exists (select from trace t
                              where t.project_id = f.project_id and t.id = f.trace_id)
              and not exists (select from session s
                              where s.project_id = f.project_id and s.id = f.session_id)
            order by occurred_at limit %(limit)s for update skip locked
            """,
            {"project": due.project_id, "before": due.before, "limit": limit},
        )
        ids = [row["id"] for row in await cursor.fetchall()]
        if ids:
            await _remove_judgements(connection, due.project_id, feedback=ids)
    return len(ids)


async def remove_texts(db: Database, due: Due, *, limit: int = TEXTS) -> int:
    """Remove shared texts that no kept trace can name; return how many."""
    removed, last = 0, b""
    while True:
        row = await db.one(
            """
            with seen as (
                select hash from content where project_id = %(project)s and hash > %(last)s
                order by hash limit %(limit)s
            ), gone as (
                delete from content c using seen
                where c.project_id = %(project)s and c.hash = seen.hash and c.used_at < %(before)s
                returning c.hash
            )
            select (select hash from seen order by hash desc limit 1) as last,
                   (select count(*) from gone) as gone
            """,
            {
                "project": due.project_id, "last": last, "limit": limit,
                "before": due.before - SPARED,
            },
        )  # fmt: skip
        if row is None or row["last"] is None:
            return removed
        removed, last = removed + row["gone"], bytes(row["last"])


async def _remove_judgements(
    connection: Connection,
    project_id: str,
    *,
    traces: Sequence[str] = (),
    sessions: Sequence[str] = (),
    feedback: Sequence[str] = (),
) -> None:
    """Remove feedback with its history, threads and tags; locked in the order of all who write."""
    cursor = await connection.execute(
        """
        select id, natural_key from feedback
        where project_id = %s and (trace_id = any(%s) or session_id = any(%s) or id = any(%s))
        order by natural_key for update
        """,
        (project_id, list(traces), list(sessions), list(feedback)),
    )
    rows = await cursor.fetchall()
    found = {
        "project": project_id,
        "ids": [row["id"] for row in rows],
        "keys": [row["natural_key"] for row in rows],
    }
    if rows:
        for statement in _OF_JUDGEMENTS:
            await connection.execute(statement, found)


async def _leave_sessions(connection: Connection, project_id: str, named: Sequence[str]) -> None:
    """Count removed traces out of their sessions, named once for each; an empty one goes."""
    if not named:
        return
    await connection.execute(
        "select from session where project_id = %s and id = any(%s) order by id for update",
        (project_id, list(named)),
    )
    await connection.execute(
        """
        update session s set turns = s.turns - gone.turns, started_at = coalesce(
            (select min(started_at) from trace t
             where t.project_id = s.project_id and t.session_id = s.id), s.started_at)
        from (select id, count(*) as turns from unnest(%s::text[]) as id group by id) gone
        where s.project_id = %s and s.id = gone.id
        """,
        (list(named), project_id),
    )
    cursor = await connection.execute(
        "delete from session where project_id = %s and id = any(%s) and turns <= 0 returning id",
        (project_id, list(named)),
    )
    emptied = [row["id"] for row in await cursor.fetchall()]
    if emptied:
        await _remove_judgements(connection, project_id, sessions=emptied)


#: What belongs to traces, and the marks by which search, vectors and trends follow; last of all
#: the traces themselves.
_OF_TRACES: tuple[LiteralString, ...] = (
    "delete from span where project_id = %(project)s and trace_id = any(%(ids)s)",
    "delete from injection where project_id = %(project)s and trace_id = any(%(ids)s)",
    """delete from tag where project_id = %(project)s and target_kind = 'trace'
       and target_id = any(%(ids)s)""",
    """delete from embedding where project_id = %(project)s and trace_id = any(%(ids)s)
       and model_id in (select id from embedding_model)""",
    "delete from embedding_waiting where project_id = %(project)s and trace_id = any(%(ids)s)",
    """insert into search_waiting (project_id, trace_id)
       select project_id, trace_id from search_document
       where project_id = %(project)s and trace_id = any(%(ids)s)""",
    """insert into trend_dirty (project_id, at)
       select distinct project_id, date_trunc('hour', started_at, 'UTC') from trace
       where project_id = %(project)s and id = any(%(ids)s)""",
    "delete from trace where project_id = %(project)s and id = any(%(ids)s)",
)
_OF_JUDGEMENTS: tuple[LiteralString, ...] = (
    "delete from thread_entry where project_id = %(project)s and natural_key = any(%(keys)s)",
    """delete from tag where project_id = %(project)s and target_kind = 'feedback'
       and target_id in (select unnest(%(ids)s::text[]) union all select id from feedback_history
                         where project_id = %(project)s and natural_key = any(%(keys)s))""",
    "delete from feedback_history where project_id = %(project)s and natural_key = any(%(keys)s)",
    "delete from feedback where project_id = %(project)s and natural_key = any(%(keys)s)",
)
