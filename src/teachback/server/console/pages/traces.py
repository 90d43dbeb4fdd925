"""The trail of one trace."""

from __future__ import annotations

from starlette.responses import Response

from teachback.record.trail import get_trail
from teachback.server.console.render import page
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import neighbours
from teachback.server.console.views.trail import trail_view
from teachback.server.console.visit import Visit
from teachback.store.traces import list_turn_ids


async def show(visit: Visit) -> Response:
    """Show a trace from its query to its feedback; raises NotFound."""
    trace_id = visit.request.path_params["id"]
    trail = await get_trail(visit.db, visit.project.id, trace_id)
    session_id = trail.trace.session_id
    turns = await list_turn_ids(visit.db, visit.project.id, session_id) if session_id else []
    return page(
        visit.request, "trail.html", visit=visit,
        trail=trail_view(trail, reasons_by_label(visit.project.reasons)),
        turns=neighbours(trace_id, turns),
    )  # fmt: skip
