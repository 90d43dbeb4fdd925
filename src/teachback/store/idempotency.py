"""Answers kept for requests that carried an Idempotency-Key."""

from __future__ import annotations

from teachback.store.database import Database, Row

#: A request still being worked on has this status.
RUNNING = 0


async def claim(db: Database, project_id: str, key: str, request_hash: bytes) -> Row | None:
    """Claim a key for a request; return the earlier request's row when there is one.

    A claim older than ten minutes was left by a process that died, and is taken over.
    """
    taken = await db.run(
        """
        insert into idempotency (project_id, key, request_hash, status, body, created_at)
        values (%s, %s, %s, 0, '', now())
        on conflict (project_id, key) do update set created_at = now(),
            request_hash = excluded.request_hash, status = 0
            where idempotency.created_at < now() - case when idempotency.status = 0
                  then interval '10 minutes' else interval '24 hours' end
        """,
        (project_id, key, request_hash),
    )
    if taken:
        return None
    return await db.one(
        "select * from idempotency where project_id = %s and key = %s", (project_id, key)
    )


async def save_answer(db: Database, project_id: str, key: str, status: int, body: bytes) -> None:
    """Keep the answer for a day."""
    await db.run(
        "update idempotency set status = %s, body = %s where project_id = %s and key = %s",
        (status, body, project_id, key),
    )


async def release(db: Database, project_id: str, key: str) -> None:
    """Forget a claim whose request stored nothing."""
    await db.run(
        "delete from idempotency where project_id = %s and key = %s and status = 0",
        (project_id, key),
    )


async def delete_old(db: Database) -> int:
    """Forget answers after a day; return how many."""
    return await db.run("delete from idempotency where created_at < now() - interval '1 day'")
