"""The list of feedback."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from teachback.server import paging as cursors
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.render import page
from teachback.server.console.views.filters import PATH, filter_view, read_filters, to_store
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import feedback_rows
from teachback.server.console.views.snippets import first_feedback
from teachback.server.console.visit import Visit
from teachback.store.feedback import list_feedback
from teachback.store.traces import find_outputs


async def show(visit: Visit) -> Response:
    """Show feedback, newest first, narrowed by the filters in the address."""
    cursor = visit.request.query_params.get("cursor") or None
    values = read_filters(visit.request.query_params)
    reasons = reasons_by_label(visit.project.reasons)
    rows = await list_feedback(
        visit.db, visit.project.id, to_store(values, datetime.now(UTC)),
        before=cursors.decode(cursor), limit=PAGE_SIZE + 1,
    )  # fmt: skip
    shown = rows[:PAGE_SIZE]
    traces = await find_outputs(
        visit.db, visit.project.id, [row["trace_id"] for row in shown if row["trace_id"]]
    )
    last = (shown[-1]["occurred_at"], shown[-1]["id"]) if len(rows) > PAGE_SIZE else None
    return page(
        visit.request, "feedback.html", visit=visit,
        feedback=feedback_rows(shown, traces, reasons),
        filters=filter_view(values, reasons),
        paging=paging(PATH, values, here=cursor, last=last),
        snippet=first_feedback(visit.context.public_url),
    )  # fmt: skip
