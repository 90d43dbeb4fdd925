"""Pages of feedback: narrowed, in the order of time, and quick however large the project is.

What is asked for is common as a rule, and met soon on the way through the time, which an index
walks without a look at the rows. What is not met on the way is gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql

from teachback.model.feedback import Kind, Source
from teachback.store.database import Database, Row
from teachback.store.places import find_places
from teachback.store.where import Where, direction

#: How far a page is looked for on the way: entries of an index; rows where those are read; and
#: rows where to gather would be to read all.
WALKED, WALKED_ROWS, WALKED_FAR = 50_000, 2_500, 10_000
#: Places whose own lists are merged; more of them cost more than to gather.
MERGED = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list of feedback is narrowed to; None does not narrow."""

    kind: Kind | None = None
    name: str | None = None
    source: Source | None = None
    author: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    label: str | None = None
    negative: bool | None = None
    unmatched: bool | None = None
    withdrawn: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


#: How each filter is said: of the time, of what the indexes hold beside it, and of the rest.
_TIMES: dict[str, LiteralString] = {
    "since": "f.occurred_at >= %(since)s",
    "until": "f.occurred_at < %(until)s",
}
_COVERED: dict[str, LiteralString] = {
    "kind": "f.kind = %(kind)s",
    "name": "f.name = %(name)s",
    "source": "f.source = %(source)s",
    "negative": "f.negative = %(negative)s",
    "withdrawn": "f.withdrawn = %(withdrawn)s",
}
_REST: dict[str, LiteralString] = {
    "author": "f.author = %(author)s",
    "trace_id": "f.trace_id = %(trace_id)s",
    "session_id": "f.session_id = %(session_id)s",
    "label": "f.labels && array[%(label)s]::text[]",
    "unmatched": "f.matched <> %(unmatched)s",
}


_INDEXED = {"trace_id", "session_id", "label", "unmatched"}


async def list_feedback(
    db: Database,
    project_id: str,
    filters: Filters,
    *,
    narrowed: Where | None = None,
    before: tuple[datetime, str] | None = None,
    oldest: bool = False,
    limit: int = 50,
) -> list[Row]:
    """Return feedback in force, newest or oldest first; `before` is (occurred_at, id) last seen."""
    narrowed = narrowed or Where(sql.SQL("true"))
    places = await find_places(db, project_id, narrowed)
    if places == "{}":
        return []
    asked = _Asked(filters, narrowed, places, before, oldest=oldest)
    params = asked.params | {"project": project_id, "limit": limit}
    rows: list[Row] = []
    for statement in asked.ways():
        rows = await db.all(statement, params)
        if len(rows) == limit:
            break
    return rows


class _Asked:
    """The conditions of a page, and the ways to find it."""

    def __init__(
        self, filters: Filters, narrowed: Where, places: str | None,
        before: tuple[datetime, str] | None, *, oldest: bool,
    ) -> None:  # fmt: skip
        given = {name: getattr(filters, name) for name in (*_TIMES, *_COVERED, *_REST)}
        given = {name: value for name, value in given.items() if value is not None}
        self.params: dict[str, object] = {
            **narrowed.params, **given, "places": places,
            "at": before and before[0], "id": before and before[1],
        }  # fmt: skip
        self._places = places
        self._indexed = narrowed.indexed or not _INDEXED.isdisjoint(given)
        self._rest = _joined([narrowed.rest, *_said(_REST, given)])
        beyond = sql.SQL("(f.occurred_at, f.id) {} (%(at)s, %(id)s)").format(
            sql.SQL(">" if oldest else "<")
        )
        times = [narrowed.times, *_said(_TIMES, given), beyond if before else None]
        self._words = direction(oldest=oldest) | {
            "times": _joined(times) or sql.SQL("true"),
            "covered": _joined([narrowed.covered, *_said(_COVERED, given)]) or sql.SQL("true"),
            "rest": self._rest or sql.SQL("true"),
            "placed": sql.SQL("f.place_id = any(%(places)s::integer[])" if places else "true"),
            "first": sql.SQL("min" if oldest else "max"),
            "from": sql.SQL(">=" if oldest else "<="),
        }  # fmt: skip

    def ways(self) -> list[sql.Composed]:
        """Return statements that find the page, the quickest first; the last one surely does."""
        rows = WALKED_ROWS if self._indexed else WALKED_FAR
        ways = [_WALK.format(
            walked=sql.Literal(WALKED), rows=sql.Literal(rows),
            begun=_BEGUN.format(**self._words) if self._places else sql.SQL("true"),
            **self._words,
        )]  # fmt: skip
        merges = self._places and not self._rest and self._places.count(",") < MERGED
        return [*ways, (_MERGE if merges else _GATHER).format(**self._words)]


def _said(words: dict[str, LiteralString], given: dict[str, object]) -> list[sql.SQL]:
    return [sql.SQL(text) for name, text in words.items() if name in given]


def _joined(parts: Sequence[sql.Composable | None]) -> sql.Composable | None:
    said = [part for part in parts if part is not None]
    return sql.SQL(" and ").join(said) if said else None


#: Models, prompts and releases follow each other: the way begins where the places were last seen.
_BEGUN = sql.SQL("""f.occurred_at {from} (
    select {first}(latest.occurred_at) from unnest(%(places)s::integer[]) as at_place (id)
    cross join lateral (
        select f.occurred_at from feedback f
        where f.project_id = %(project)s and f.place_id = at_place.id and {times}
        order by f.occurred_at {order}, f.id {order} limit 1) latest)""")
#: `offset 0` keeps the planner from reading everything for what a few rows are asked.
_WALK = sql.SQL("""
    with walked as (
        select f.project_id, f.id, f.occurred_at, f.place_id, f.kind, f.name, f.source,
               f.negative, f.withdrawn
        from feedback f
        where f.project_id = %(project)s and {begun} and {times}
        order by f.occurred_at {order}, f.id {order} limit {walked}
    )
    select f.* from (
        select f.project_id, f.id, f.occurred_at from walked f
        where {placed} and {covered} limit {rows}
    ) as here cross join lateral (
        select f.* from feedback f
        where f.project_id = here.project_id and f.id = here.id and {rest} offset 0) f
    order by here.occurred_at {order}, here.id {order} limit %(limit)s
""")
_MERGE = sql.SQL("""
    with found as (
        select near.id from unnest(%(places)s::integer[]) as at_place (id)
        cross join lateral (
            select f.id, f.occurred_at from feedback f
            where f.project_id = %(project)s and f.place_id = at_place.id
              and {times} and {covered}
            order by f.occurred_at {order}, f.id {order} limit %(limit)s) near
        order by near.occurred_at {order}, near.id {order} limit %(limit)s
    )
    select f.* from found join feedback f on f.project_id = %(project)s and f.id = found.id
    order by f.occurred_at {order}, f.id {order}
""")
#: Sorted by what no index holds: else the planner might walk on.
_GATHER = sql.SQL("""
    select f.* from feedback f
    where f.project_id = %(project)s and {placed} and {times} and {covered} and {rest}
    order by f.occurred_at + interval '0 s' {order}, f.id {order} limit %(limit)s
""")
