"""Places: the combinations of dimensions in which traces occur, each under a small number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from psycopg import sql

from teachback.model.trace import Trace
from teachback.store.copy import as_array, as_columns
from teachback.store.database import Connection, Cursor, Database
from teachback.store.where import Where

#: The place of what is on no trace that is known.
NOWHERE = 0


class Place(NamedTuple):
    """The dimensions of a trace; empty where it says nothing."""

    project_id: str
    model: str
    #: Its system prompts, each as name@version; a text without a version is known by its hash.
    prompts: tuple[str, ...]
    environment: str
    role: str
    surface: str
    locale: str
    release: str


def place_of(project_id: str, trace: Trace, hashes: tuple[bytes, ...]) -> Place:
    """Return the place of a trace; `hashes` are those of its context's items."""
    prompts = tuple(
        [
            f"{item.name}@{item.version or digest.hex()[:12]}"
            for item, digest in zip(trace.context, hashes, strict=True)
            if item.kind == "system_prompt"
        ]
    )
    return Place(
        project_id, trace.response_model or trace.request_model or "", prompts, trace.environment,
        trace.role or "", trace.surface or "", trace.locale or "", trace.release or "",
    )  # fmt: skip


async def ask_places(connection: Connection, places: Iterable[Place]) -> Cursor:
    """Ask for the numbers of places; those that are new get one."""
    rows = [
        (place.project_id, place.model, msgspec.json.encode(place.prompts).decode(), *place[3:])
        for place in places
    ]
    # Sorted, so that concurrent transactions lock the places in one order; updated, so that those
    # of others are returned, too.
    return await connection.execute(
        """
        insert into place (
            project_id, hash, model, prompts, environment, role, surface, locale, release)
        select project_id,
               place_hash(model, prompts, environment, role, surface, locale, release) as hash,
               model, prompts, environment, role, surface, locale, release
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                    %s::text[], %s::text[])
             as wanted (project_id, model, listed, environment, role, surface, locale, release)
        cross join lateral (
            select array(select jsonb_array_elements_text(listed::jsonb)) as prompts) as each
        order by 1, 2
        on conflict (project_id, hash) do update set hash = excluded.hash
        returning project_id::text as project_id, model, prompts, environment, role, surface,
                  locale, release, id
        """,
        as_columns(rows),
    )


async def read_places(cursor: Cursor) -> dict[Place, int]:
    """Read the answer to `ask_places`."""
    numbers: dict[Place, int] = {}
    for row in await cursor.fetchall():
        number = row.pop("id")
        numbers[Place(**row | {"prompts": tuple(row["prompts"])})] = number
    return numbers


async def find_places(db: Database, project_id: str, narrowed: Where) -> str | None:
    """Return the numbers of the places that a list is narrowed to, as an array; None for all.

    The array is empty, `{}`, when nothing can be in the list.
    """
    if narrowed.places is None:
        return None
    rows = await db.all(
        sql.SQL("select p.id from place p where p.project_id = %(project)s and {}").format(
            narrowed.places
        ),
        {"project": project_id, **narrowed.params},
    )
    found = [str(row["id"]) for row in rows]
    return as_array([*found, str(NOWHERE)] if narrowed.nowhere else found)
