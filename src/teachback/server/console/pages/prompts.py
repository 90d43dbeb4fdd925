"""Prompts: the list, one prompt with its versions and their differences, and their promotion."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from teachback.act import prompts as act_prompts
from teachback.act.prompts import MOVES, Draft
from teachback.core.diff import tracked_change
from teachback.errors import Conflict, Invalid, TeachbackError
from teachback.model.prompt import PromptState
from teachback.server import paging as cursors
from teachback.server.console.pages.lessons import MAX_REASON, actor, may_approve
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.render import page, path_of
from teachback.server.console.views.forms import line_of, name_of, text_of
from teachback.server.console.views.lessons import pieces
from teachback.server.console.views.prompts import event_view, version_views
from teachback.server.console.visit import Visit, see_other
from teachback.server.problems import status_of
from teachback.store import prompts as store

PATH = "/prompts"


async def show_list(visit: Visit) -> Response:
    """Show prompts, last changed first."""
    cursor = visit.request.query_params.get("cursor")
    found = await store.list_prompts(
        visit.db, visit.project.id, before=cursors.decode(cursor), limit=PAGE_SIZE + 1
    )
    shown = found[:PAGE_SIZE]
    last = (shown[-1].updated_at, shown[-1].name) if len(found) > PAGE_SIZE else None
    return page(
        visit.request, "prompts.html", visit=visit, prompts=shown,
        paging=paging(PATH, {}, here=cursor, last=last), may=may_approve(visit),
    )  # fmt: skip


async def show(visit: Visit) -> Response:
    """Show a prompt; raises NotFound."""
    return await _page(visit)


async def make(visit: Visit) -> Response:
    """Draft a version, of a new prompt or of one that is there; raises Forbidden or Invalid."""
    form = await visit.request.form()
    name = name_of(form.get("name"))
    based_on = str(form.get("based_on", ""))
    made = Draft(
        text=text_of(form.get("text"), "text", most=act_prompts.MAX_PROMPT),
        reason=str(form.get("reason", ""))[:MAX_REASON],
        based_on=int(based_on) if based_on.isdecimal() and len(based_on) < 10 else None,
    )
    version = await act_prompts.draft(visit.db, visit.project.id, name, made, by=actor(visit))
    return see_other(f"{path_of('prompts', name)}?version={version.version}")


async def merge(visit: Visit) -> Response:
    """Draft a version with a lesson's words in it; raises NotFound, Forbidden or Conflict."""
    form = await visit.request.form()
    name = name_of(form.get("prompt"))
    version = await act_prompts.merge(
        visit.db, visit.project.id, name, str(form.get("lesson", "")), by=actor(visit),
        reason="A guidance that holds everywhere",
    )  # fmt: skip
    return see_other(f"{path_of('prompts', name)}?version={version.version}")


async def act(visit: Visit) -> Response:
    """Approve or move a version; what cannot be done is told beside it."""
    form = await visit.request.form()
    name, state = str(visit.request.path_params["id"]), str(form.get("action", ""))
    number = str(form.get("version", ""))
    try:
        if state not in get_args(PromptState) or not number.isdecimal() or len(number) > 9:
            raise Invalid("action", value=state, rule="this cannot be done to a version",
                          fix="Choose one of the buttons")  # fmt: skip
        reason = line_of(form.get("reason"), "reason", most=MAX_REASON, fix="Say why")
        await act_prompts.move(
            visit.db, visit.project.id, name, int(number), state,  # type: ignore[arg-type]
            by=actor(visit), reason=reason,
        )  # fmt: skip
    except (Invalid, Conflict) as error:
        return await _page(visit, error)
    return see_other(f"{path_of('prompts', name)}?version={number}")


async def _page(visit: Visit, problem: TeachbackError | None = None) -> Response:
    name = str(visit.request.path_params["id"])
    versions = await store.list_versions(visit.db, visit.project.id, name)
    by_number = {str(one.version): one for one in versions}
    asked = visit.request.query_params
    shown = by_number.get(asked.get("version", ""), versions[0])
    live = next((one for one in versions if one.state == "live"), None)
    earlier = str(shown.based_on or (live.version if live else ""))
    base = by_number.get(asked.get("from", earlier))
    base = None if base is shown else base
    return page(
        visit.request, "prompt.html", visit=visit, status=status_of(problem) if problem else 200,
        name=name, versions=version_views(versions), shown=shown, base=base,
        changes=pieces(tracked_change(base.text, shown.text)) if base else (),
        moves=MOVES[shown.state], may=may_approve(visit),
        events=[event_view(one)
                for one in await store.list_events(visit.db, visit.project.id, name)],
        problem=problem.message if problem else "",
    )  # fmt: skip
