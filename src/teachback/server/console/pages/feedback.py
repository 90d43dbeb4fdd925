"""The list of feedback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from teachback.server import paging as cursors
from teachback.server.console.pages.explorer import Explorer, read_explorer
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.pages.tags import MAY_TAG
from teachback.server.console.pages.views import saved_of
from teachback.server.console.render import page
from teachback.server.console.views.filters import SORTS, filter_view
from teachback.server.console.views.judgements import reasons_by_label
from teachback.server.console.views.lists import FeedbackRow, feedback_rows
from teachback.server.console.views.snippets import first_feedback
from teachback.server.console.visit import Visit
from teachback.store.database import Row
from teachback.store.facets import Facets, count_feedback
from teachback.store.listing import Filters, list_feedback
from teachback.store.search import stems
from teachback.store.tags import find_tags, list_tags
from teachback.store.traces import find_outputs
from teachback.store.where import where

PATH = "/feedback"


async def show(visit: Visit) -> Response:
    """Show feedback, narrowed by the filter in the address, newest first unless sorted."""
    asked = read_explorer(visit.request.query_params)
    reasons = reasons_by_label(visit.project.reasons)
    rows, facets = await _find(visit, asked)
    shown = rows[:PAGE_SIZE]
    last = (shown[-1]["occurred_at"], shown[-1]["id"]) if len(rows) > PAGE_SIZE else None
    titles = {label: reason.title for label, reason in reasons.items()}
    may_tag = visit.member.roles.get(visit.project.id) in MAY_TAG
    return page(
        visit.request, "feedback.html", visit=visit, status=400 if asked.box.error else 200,
        box=asked.box, sorts=SORTS[asked.sort],
        stems=await stems(visit.db, asked.words) if asked.words else [],
        feedback=await _lines(visit, shown),
        filters=filter_view(PATH, asked.query, facets, titles, **asked.others),
        paging=paging(PATH, asked.values, here=asked.cursor, last=last),
        saved=await saved_of(visit, "feedback", asked.address),
        may_tag=may_tag,
        known_tags=await list_tags(visit.db, visit.project.id) if may_tag else [],
        snippet=first_feedback(visit.context.public_url),
    )  # fmt: skip


async def _find(visit: Visit, asked: Explorer) -> tuple[list[Row], Facets | None]:
    """Return a page of the list and one more, and what the list is made of."""
    if asked.box.error:
        return [], None
    narrowed = where(asked.query, "feedback", datetime.now(UTC))
    rows = await list_feedback(
        visit.db, visit.project.id, Filters(), narrowed=narrowed,
        before=cursors.decode(asked.cursor), oldest=asked.sort == "oldest", limit=PAGE_SIZE + 1,
    )  # fmt: skip
    return rows, await count_feedback(visit.db, visit.project.id, narrowed)


async def _lines(visit: Visit, shown: Sequence[Row]) -> list[FeedbackRow]:
    trace_ids = [row["trace_id"] for row in shown if row["trace_id"]]
    traces = await find_outputs(visit.db, visit.project.id, trace_ids)
    tags = await find_tags(visit.db, visit.project.id, [row["id"] for row in shown])
    return feedback_rows(shown, traces, reasons_by_label(visit.project.reasons), tags)
