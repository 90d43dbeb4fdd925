"""Vectors of lessons' situations, and the lessons near one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import LiteralString

from teachback.model.lesson import LessonKind, Scope
from teachback.store.copy import as_columns
from teachback.store.database import Database, Row

#: Lessons that a new one is compared with; a reader looks at a handful.
MAX_NEAR = 20
#: Situations compared word by word where there are no vectors.
MAX_COMPARED = 10_000

#: Lessons of one kind, other than one, whose scope overlaps; retired ones are out of the way.
_NARROWED: LiteralString = """
    from lesson l join lesson_version v
         on v.project_id = l.project_id and v.lesson_id = l.id and v.version = l.version
"""
_CONDITION: LiteralString = """
    l.project_id = %(project)s and l.kind = %(kind)s and l.id <> %(besides)s
    and l.state <> 'retired'
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A wording whose situation can be compared."""

    lesson_id: str
    version: int
    situation: str


async def list_without_vector(db: Database, project_id: str, model: str) -> list[Situation]:
    """Return wordings that a model has made no vectors of, newest first."""
    rows = await db.all(
        """
        select v.lesson_id, v.version, v.situation
        """
        + _NARROWED
        + """
        where l.project_id = %s and l.state <> 'retired' and not exists (
            select from lesson_vector e where e.project_id = v.project_id
            and e.lesson_id = v.lesson_id and e.version = v.version and e.model = %s)
        order by v.created_at desc limit %s
        """,
        (project_id, model, MAX_COMPARED),
    )
    return [Situation(**row) for row in rows]


async def save_vectors(
    db: Database, project_id: str, model: str, vectors: Sequence[tuple[Situation, str]]
) -> None:
    """Keep vectors, each written as PostgreSQL reads it."""
    if vectors:
        await db.run(
            """
            insert into lesson_vector (project_id, lesson_id, version, model, vector)
            select %s, lesson_id, version, %s, vector::halfvec
            from unnest(%s::text[], %s::int[], %s::text[]) as new (lesson_id, version, vector)
            on conflict do nothing
            """,
            (project_id, model,
             *as_columns([(one.lesson_id, str(one.version), vector) for one, vector in vectors])),
        )  # fmt: skip


async def list_near(
    db: Database, project_id: str, *, kind: LessonKind, scope: Scope, besides: str, model: str,
    vector: str, at_least: float,
) -> list[Row]:  # fmt: skip
    """Return lessons in an overlapping scope whose situation has at least this cosine."""
    return await db.all(
        "select l.id, l.state, v.situation, v.text, -(e.vector <#> %(vector)s::halfvec) as cosine"
        + _NARROWED
        + """
        join lesson_vector e on e.project_id = v.project_id and e.lesson_id = v.lesson_id
             and e.version = v.version and e.model = %(model)s
        where """
        + _CONDITION
        + _OVERLAPS
        + """
          and -(e.vector <#> %(vector)s::halfvec) >= %(at_least)s
        order by cosine desc, l.id limit %(limit)s
        """,
        {
            "project": project_id, "kind": kind, "besides": besides, "model": model,
            "vector": vector, "at_least": at_least, "limit": MAX_NEAR, **_lists(scope),
        },
    )  # fmt: skip


async def list_overlapping(
    db: Database, project_id: str, *, kind: LessonKind, scope: Scope, besides: str
) -> list[Row]:
    """Return lessons in an overlapping scope, to be compared by their words."""
    return await db.all(
        "select l.id, l.state, v.situation, v.text"
        + _NARROWED
        + "where "
        + _CONDITION
        + _OVERLAPS
        + "order by l.updated_at desc, l.id limit %(limit)s",
        {
            "project": project_id, "kind": kind, "besides": besides, "limit": MAX_COMPARED,
            **_lists(scope),
        },
    )  # fmt: skip


#: Two scopes overlap when in every dimension one is empty or both share a value.
_OVERLAPS: LiteralString = """
    and (%(roles)s::text[] = '{}' or not v.scope ? 'roles'
         or v.scope->'roles' ?| %(roles)s::text[])
    and (%(environments)s::text[] = '{}' or not v.scope ? 'environments'
         or v.scope->'environments' ?| %(environments)s::text[])
    and (%(surfaces)s::text[] = '{}' or not v.scope ? 'surfaces'
         or v.scope->'surfaces' ?| %(surfaces)s::text[])
    and (%(locales)s::text[] = '{}' or not v.scope ? 'locales'
         or v.scope->'locales' ?| %(locales)s::text[])
    and (%(models)s::text[] = '{}' or not v.scope ? 'models'
         or v.scope->'models' ?| %(models)s::text[])
    and (%(prompts)s::text[] = '{}' or not v.scope ? 'prompts'
         or v.scope->'prompts' ?| %(prompts)s::text[])
    and (%(topics)s::text[] = '{}' or not v.scope ? 'topics'
         or v.scope->'topics' ?| %(topics)s::text[])
"""


def _lists(scope: Scope) -> dict[str, object]:
    return {name: list(values) for name, values in asdict(scope).items()}
