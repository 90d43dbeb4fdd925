"""The list of sessions, and one session turn by turn."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from teachback.model.trace import Environment
from teachback.record.trail import get_session_trail
from teachback.server import paging as cursors
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.render import page
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import MAX_TURNS, session_row, turn_views
from teachback.server.console.views.snippets import first_session
from teachback.server.console.views.submissions import submissions_of
from teachback.server.console.visit import Visit
from teachback.store.sessions import find_openings, list_sessions

PATH = "/sessions"


async def show_list(visit: Visit) -> Response:
    """Show sessions by their last turn."""
    query = visit.request.query_params
    cursor = query.get("cursor") or None
    user = query.get("user", "").strip().replace("\0", "")
    environment = _environment(query.get("environment"))
    values = {"user": user, "environment": environment or ""}
    sessions = await list_sessions(
        visit.db, visit.project.id, user_id=user or None, environment=environment,
        before=cursors.decode(cursor), limit=PAGE_SIZE + 1,
    )  # fmt: skip
    shown = sessions[:PAGE_SIZE]
    openings = await find_openings(visit.db, visit.project.id, [one.id for one in shown])
    last = (shown[-1].ended_at, shown[-1].id) if len(sessions) > PAGE_SIZE else None
    given = {name: value for name, value in values.items() if value}
    return page(
        visit.request, "sessions.html", visit=visit,
        sessions=[session_row(one, openings.get(one.id)) for one in shown],
        filters=values,
        paging=paging(PATH, given, here=cursor, last=last),
        snippet=first_session(visit.context.public_url),
    )  # fmt: skip


async def show(visit: Visit) -> Response:
    """Show one session as a conversation; raises NotFound."""
    session, traces, judgements = await get_session_trail(
        visit.db, visit.project.id, visit.request.path_params["id"]
    )
    reasons = reasons_by_label(visit.project.reasons)
    whole = [one for one in judgements if one.feedback.trace_id is None]
    return page(
        visit.request, "session.html", visit=visit,
        session=session,
        turns=turn_views(traces, judgements, reasons),
        hidden=max(0, session.turns - MAX_TURNS),
        whole=submissions_of(whole, {}, reasons),
    )  # fmt: skip


def _environment(text: str | None) -> Environment | None:
    return next((one for one in get_args(Environment) if one == text), None)
