"""What was said about annotations."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from teachback.model.feedback import ThreadEntry
from teachback.store.database import Database, Row


async def save_entry(
    db: Database, project_id: str, natural_key: uuid.UUID, entry: ThreadEntry
) -> ThreadEntry:
    """Append an entry; return the one kept under its id, which is an earlier one if there is."""
    row = await db.one(
        """
        insert into thread_entry (project_id, natural_key, id, action, author, comment, created_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (project_id, natural_key, id) do update set id = excluded.id
        returning *
        """,
        (project_id, natural_key, entry.id, entry.action, entry.author, entry.comment,
         entry.created_at),
    )  # fmt: skip
    assert row is not None  # an upsert that always touches one row returns it
    return _from_row(row)


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
