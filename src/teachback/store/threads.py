"""What was said about annotations."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from teachback.model.feedback import ThreadEntry
from teachback.store.database import Database, Row


async def save_entry(
    db: Database, project_id: str, natural_key: uuid.UUID, entry: ThreadEntry
) -> None:
    """Append an entry; the same id again changes nothing."""
    await db.run(
        """
        insert into thread_entry (project_id, natural_key, id, action, author, comment, created_at)
        values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
        """,
        (project_id, natural_key, entry.id, entry.action, entry.author, entry.comment,
         entry.created_at),
    )  # fmt: skip


async def list_entries(
    db: Database, project_id: str, keys: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[ThreadEntry]]:
    """Return the threads of several annotations, oldest entry first."""
    rows = await db.all(
        """
        select * from thread_entry where project_id = %s and natural_key = any(%s)
        order by created_at, id limit 5000
        """,
        (project_id, list(keys)),
    )
    threads: dict[uuid.UUID, list[ThreadEntry]] = {}
    for row in rows:
        threads.setdefault(row["natural_key"], []).append(_from_row(row))
    return threads


def _from_row(row: Row) -> ThreadEntry:
    return ThreadEntry(
        id=row["id"],
        action=row["action"],
        author=row["author"],
        comment=row["comment"],
        created_at=row["created_at"],
    )
