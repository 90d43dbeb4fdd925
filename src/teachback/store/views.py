"""Saved views: names that members gave to addresses of the console."""

from __future__ import annotations

from teachback.errors import NotFound
from teachback.model.view import SavedView, ViewPage
from teachback.store.database import Database, Row

#: More than anybody reads; a page shows all of them.
MAX_VIEWS = 100


async def save_view(db: Database, project_id: str, view: SavedView) -> None:
    """Add a view."""
    await db.run(
        """
        insert into saved_view (project_id, id, member_id, name, page, query, created_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (
            project_id, view.id, view.member_id, view.name, view.page, view.query, view.created_at,
        ),
    )  # fmt: skip


async def list_views(db: Database, project_id: str, page: ViewPage) -> list[SavedView]:
    """Return the views of a page by name."""
    rows = await db.all(
        """
        select * from saved_view where project_id = %s and page = %s
        order by lower(name), id limit %s
        """,
        (project_id, page, MAX_VIEWS),
    )
    return [from_row(row) for row in rows]


async def get_view(db: Database, project_id: str, view_id: str) -> SavedView:
    """Return a view; raises NotFound."""
    row = await db.one(
        # Compared as text, so that an id that is none is an unknown one.
        "select * from saved_view where project_id = %s and id::text = %s",
        (project_id, view_id),
    )
    if row is None:
        raise NotFound(f"no saved view has the id {view_id!a} in this project")
    return from_row(row)


async def delete_view(db: Database, project_id: str, view_id: str) -> None:
    """Forget a view."""
    await db.run("delete from saved_view where project_id = %s and id = %s", (project_id, view_id))


def from_row(row: Row) -> SavedView:
    return SavedView(
        id=str(row["id"]),
        member_id=str(row["member_id"]),
        name=row["name"],
        page=row["page"],
        query=row["query"],
        created_at=row["created_at"],
    )
