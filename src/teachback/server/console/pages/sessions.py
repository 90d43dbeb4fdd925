"""The list of sessions, and one session turn by turn."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from teachback.model.trace import Session
from teachback.record.trail import get_session_trail
from teachback.server import paging as cursors
from teachback.server.console.pages.explorer import Explorer, read_explorer
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.pages.views import saved_of
from teachback.server.console.render import page
from teachback.server.console.views.filters import SORTS, filter_view
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import MAX_TURNS, session_row, turn_views
from teachback.server.console.views.snippets import first_session
from teachback.server.console.views.submissions import submissions_of
from teachback.server.console.visit import Visit
from teachback.store.facets import Facets, count_sessions
from teachback.store.search import stems
from teachback.store.sessions import find_openings, list_sessions
from teachback.store.where import where

PATH = "/sessions"


async def show_list(visit: Visit) -> Response:
    """Show sessions by their last turn, narrowed by the filter in the address."""
    asked = read_explorer(visit.request.query_params)
    sessions, facets = await _find(visit, asked)
    shown = sessions[:PAGE_SIZE]
    openings = await find_openings(visit.db, visit.project.id, [one.id for one in shown])
    last = (shown[-1].ended_at, shown[-1].id) if len(sessions) > PAGE_SIZE else None
    titles = {reason.label: reason.title for reason in visit.project.reasons}
    return page(
        visit.request, "sessions.html", visit=visit, status=400 if asked.box.error else 200,
        box=asked.box, sorts=SORTS[asked.sort],
        stems=await stems(visit.db, asked.words) if asked.words else [],
        sessions=[session_row(one, openings.get(one.id)) for one in shown],
        filters=filter_view(PATH, asked.query, facets, titles, **asked.others),
        paging=paging(PATH, asked.values, here=asked.cursor, last=last),
        saved=await saved_of(visit, "sessions", asked.address),
        snippet=first_session(visit.context.public_url),
    )  # fmt: skip


async def _find(visit: Visit, asked: Explorer) -> tuple[list[Session], Facets | None]:
    """Return a page of the list and one more, and what the list is made of."""
    if asked.box.error:
        return [], None
    narrowed = where(asked.query, "session", datetime.now(UTC))
    sessions = await list_sessions(
        visit.db, visit.project.id, narrowed=narrowed,
        before=cursors.decode(asked.cursor), oldest=asked.sort == "oldest", limit=PAGE_SIZE + 1,
    )  # fmt: skip
    return sessions, await count_sessions(visit.db, visit.project.id, narrowed)


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
