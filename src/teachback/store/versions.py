"""The first appearance of every prompt, document, model and release version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from teachback.model.trace import Trace
from teachback.store.copy import as_columns
from teachback.store.database import Connection, Database, Row

#: A version that a trace ran with: (project id, kind, name, version).
Version = tuple[str, str, str, str]


def versions_of(project_id: str, trace: Trace, hashes: tuple[bytes, ...]) -> tuple[Version, ...]:
    """Return what this trace ran with; a text without a version is known by its hash.

    `hashes` are those of the context's items.
    """
    found = [
        (project_id, _KINDS[item.kind], item.name, item.version or digest.hex()[:12])
        for item, digest in zip(trace.context, hashes, strict=True)
        # A document without a name has no identity, so its next text is no new version of it.
        if item.kind == "system_prompt" or (item.kind == "document" and item.name)
    ]
    model = trace.response_model or trace.request_model
    if model:
        found.append((project_id, "model", trace.request_model or model, model))
    if trace.release:
        found.append((project_id, "release", "", trace.release))
    return tuple(found)


async def save_versions(connection: Connection, seen: Sequence[tuple[Version, datetime]]) -> None:
    """Keep the earliest time each version was seen."""
    if not seen:
        return
    rows = [(*version, at.isoformat()) for version, at in sorted(seen)]
    await connection.execute(
        """
        insert into version (project_id, kind, name, version, first_seen_at)
        select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
        on conflict (project_id, kind, name, version) do update
            set first_seen_at = excluded.first_seen_at
            where excluded.first_seen_at < version.first_seen_at
        """,
        as_columns(rows),
    )


async def list_versions(
    db: Database, project_id: str, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[Row]:
    """Return first appearances, newest first."""
    return await db.all(
        """
        select kind, name, version, first_seen_at, kind || ' ' || name || ' ' || version as id
        from version
        where project_id = %(project)s
          and (%(at)s::timestamptz is null
               or (first_seen_at, (kind || ' ' || name || ' ' || version) collate "C")
                  < (%(at)s, %(id)s))
        order by first_seen_at desc, (kind || ' ' || name || ' ' || version) collate "C" desc
        limit %(limit)s
        """,
        {"project": project_id, "at": before and before[0], "id": before and before[1],
         "limit": limit},
    )  # fmt: skip


async def list_marks(
    db: Database, project_id: str, *, since: datetime, until: datetime, limit: int = 200
) -> list[Row]:
    """Return the versions that first appeared in a time, but for the first of each name."""
    return await db.all(
        """
        select * from (
            select v.*, min(first_seen_at) over (
                partition by kind, case when kind in ('prompt', 'document') then name end
            ) as begun
            from version v where project_id = %(project)s and first_seen_at < %(until)s
        ) as seen
        where first_seen_at >= %(since)s and first_seen_at > begun
        order by first_seen_at limit %(limit)s
        """,
        {"project": project_id, "since": since, "until": until, "limit": limit},
    )


_KINDS = {"system_prompt": "prompt", "document": "document"}
