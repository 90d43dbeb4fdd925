"""What recall keeps in memory of each project, and how it learns that something has changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from teachback.store.copy import as_columns
from teachback.store.database import TRANSIENT, Database, away
from teachback.store.lessons import CHANNEL
from teachback.store.vectors import read_vector

Vector = NDArray[np.float32]
Key = tuple[str, int]

#: A line that died without a word is noticed within 20 seconds.
_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}


async def listen(dsn: str) -> AsyncIterator[str | None]:
    """Yield None once it listens, then the id of each project whose lessons change.

    Needs a server session of its own, past any pooler; raises Unavailable when that ends.
    """
    name = "teachback listener"
    conninfo = make_conninfo(dsn, connect_timeout=10, application_name=name, **_ALIVE)
    try:
        async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
            yield None
            async for notice in connection.notifies():
                yield notice.payload
    except (*TRANSIENT, psycopg.Error) as error:
        raise away() from error


async def list_in_force(db: Database, limit: int) -> list[str]:
    """Return projects that have lessons in force, those that changed last first."""
    rows = await db.all(
        """
        select project_id::text as id from lesson where state in ('canary', 'live')
        group by project_id order by max(updated_at) desc limit %s
        """,
        (limit,),
    )
    return [row["id"] for row in rows]


async def read_marks(db: Database, project_ids: Sequence[str]) -> dict[str, str]:
    """Return for each project a text that differs as soon as anything changes that recall uses."""
    rows = await db.all(
        """
        select p.id::text as id, concat_ws(' ', p.lessons_off, md5(p.recall::text),
            (select updated_at from lesson l where l.project_id = p.id
             order by updated_at desc limit 1),
            (select max(made_at) from recall_calibration c where c.project_id = p.id)) as mark
        from project p where p.id = any(%s::uuid[])
        """,
        (list(project_ids),),
    )
    return {row["id"]: row["mark"] for row in rows}


async def read_vectors(
    db: Database, project_id: str, model: str, keys: Sequence[Key]
) -> dict[Key, Vector]:
    """Return the vectors that are kept of situations, by lesson and version."""
    if not keys:
        return {}
    rows = await db.all(
        """
        select lesson_id, version, halfvec_send(vector) as vector from lesson_vector
        where project_id = %s and model = %s
          and (lesson_id, version) in (select * from unnest(%s::text[], %s::int[]))
        """,
        (project_id, model, *as_columns([(lesson, str(version)) for lesson, version in keys])),
    )
    return {(row["lesson_id"], row["version"]): read_vector(row["vector"]) for row in rows}
