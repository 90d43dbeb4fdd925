"""The trail of one trace."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from teachback.act.lessons import MAY_APPROVE
from teachback.recall.search import similar
from teachback.record.trail import get_trail
from teachback.server.console.render import page
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import neighbours
from teachback.server.console.views.similar import SimilarRow, similar_rows
from teachback.server.console.views.trail import trail_view
from teachback.server.console.visit import Visit
from teachback.store.feedback import list_for_targets
from teachback.store.traces import list_turn_ids

#: Enough to see whether a case is alone.
MAX_SIMILAR = 6


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
        similar=await _similar(visit, trace_id),
        may_propose=visit.member.roles.get(visit.project.id) in MAY_APPROVE,
    )  # fmt: skip


async def _similar(visit: Visit, trace_id: str) -> list[SimilarRow]:
    """Return the cases most like this one, with what was said about them."""
    hits = await similar(
        visit.db, visit.project.id, trace_id, now=datetime.now(UTC),
        embedder=visit.context.embedder, limit=MAX_SIMILAR,
    )  # fmt: skip
    ids = [hit.trace.id for hit in hits]
    said = await list_for_targets(visit.db, visit.project.id, trace_ids=ids)
    return similar_rows(hits, said)
