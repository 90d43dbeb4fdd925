"""Saved views: made and deleted by forms of the lists that they name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from starlette.responses import Response

from teachback.errors import Forbidden, Invalid
from teachback.model.ids import new_id
from teachback.model.project import Role
from teachback.model.view import SavedView, ViewPage
from teachback.server.console.views.forms import line_of
from teachback.server.console.views.saved import Saved, address, saved_view
from teachback.server.console.visit import Visit, see_other
from teachback.store.views import delete_view, get_view, list_views, save_view

MAX_NAME = 80
MAX_QUERY = 4_000
#: Who may delete what somebody else saved.
MAY_TIDY: tuple[Role, ...] = ("owner", "editor")


async def make(visit: Visit) -> Response:
    """Keep the address of a list under a name; raises Invalid."""
    form = await visit.request.form()
    page = _page(str(form.get("page", "")))
    query = str(form.get("query", "")).replace("\0", "")
    if len(query) > MAX_QUERY:
        rule = f"a view's query has up to {MAX_QUERY} characters"
        raise Invalid("query", value=query, rule=rule, fix="Take some filters out")
    view = SavedView(
        id=new_id(),
        member_id=visit.member.id,
        name=line_of(form.get("name"), "name", most=MAX_NAME, fix="Say what the view shows"),
        page=page,
        query=query,
        created_at=datetime.now(UTC),
    )
    await save_view(visit.db, visit.project.id, view)
    return see_other(address(view))


async def delete(visit: Visit) -> Response:
    """Forget a view; raises Forbidden or NotFound."""
    view = await get_view(visit.db, visit.project.id, visit.request.path_params["id"])
    if not may_delete(visit, view):
        raise Forbidden("only who saved a view, an owner or an editor may delete it")
    await delete_view(visit.db, visit.project.id, view.id)
    return see_other(f"/{view.page}")


def may_delete(visit: Visit, view: SavedView) -> bool:
    """Tell whether a member may delete a view."""
    role = visit.member.roles.get(visit.project.id)
    return view.member_id == visit.member.id or role in MAY_TIDY


async def saved_of(visit: Visit, page: ViewPage, query: str) -> Saved:
    """Return the views of a page for this member, beside the query of its address."""
    views = await list_views(visit.db, visit.project.id, page)
    deletable = frozenset(view.id for view in views if may_delete(visit, view))
    return saved_view(page, query, views, deletable)


def _page(text: str) -> ViewPage:
    for page in get_args(ViewPage):
        if page == text:
            return page  # type: ignore[no-any-return]
    rule = "a view is of one of the lists: " + ", ".join(get_args(ViewPage))
    raise Invalid("page", value=text, rule=rule, fix="Save it from a list")
