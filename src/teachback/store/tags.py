"""Members' tags on feedback; what applications send as tags stays in the trace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from teachback.store.database import Database


async def add_tag(
    db: Database,
    project_id: str,
    feedback_ids: Sequence[str],
    tag: str,
    *,
    member_id: str,
    at: datetime,
) -> int:
    """Tag feedback that is there; return how many were not tagged so before."""
    return await db.run(
        """
        insert into tag (project_id, target_kind, target_id, tag, member_id, created_at)
        select project_id, 'feedback', id, %(tag)s, %(member)s, %(at)s from feedback
        where project_id = %(project)s and id = any(%(ids)s)
        on conflict do nothing
        """,
        {
            "project": project_id, "ids": list(feedback_ids), "tag": tag, "member": member_id,
            "at": at,
        },
    )  # fmt: skip


async def remove_tag(db: Database, project_id: str, feedback_ids: Sequence[str], tag: str) -> int:
    """Take a tag off feedback; return how many had it."""
    return await db.run(
        """
        delete from tag
        where project_id = %s and target_kind = 'feedback' and target_id = any(%s) and tag = %s
        """,
        (project_id, list(feedback_ids), tag),
    )


async def find_tags(
    db: Database, project_id: str, feedback_ids: Sequence[str]
) -> dict[str, list[str]]:
    """Return the tags of several feedback by id, each in order."""
    rows = await db.all(
        """
        select target_id, array_agg(tag order by tag) as tags from tag
        where project_id = %s and target_kind = 'feedback' and target_id = any(%s)
        group by target_id
        """,
        (project_id, list(feedback_ids)),
    )
    return {row["target_id"]: row["tags"] for row in rows}


async def list_tags(db: Database, project_id: str, *, limit: int = 100) -> list[str]:
    """Return the tags in use on feedback, the latest first."""
    rows = await db.all(
        """
        select tag from tag where project_id = %s and target_kind = 'feedback'
        group by tag order by max(created_at) desc, tag limit %s
        """,
        (project_id, limit),
    )
    return [row["tag"] for row in rows]
