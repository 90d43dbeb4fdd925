"""What a lesson was learned from: the feedback behind it, quoted, with the way to its trails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachback.model.feedback import Feedback
from teachback.store import feedback as feedback_store
from teachback.store import traces
from teachback.store.database import Database

#: Quotes of one lesson that are shown.
MAX_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One judgement that a lesson was learned from, as it stands now."""

    #: It may have been withdrawn, or changed, since.
    feedback: Feedback
    #: What was asked and answered (the first 300 characters); None before the trace arrives.
    query: str | None
    output: str | None


async def list_evidence(
    db: Database, project_id: str, feedback_ids: Sequence[str]
) -> list[Evidence]:
    """Return the feedback of these ids, oldest first."""
    rows = await feedback_store.list_by_ids(db, project_id, feedback_ids[:MAX_SHOWN])
    found = [feedback_store.from_row(row) for row in rows]
    ids = [one.trace_id for one in found if one.trace_id is not None]
    shown = await traces.find_outputs(db, project_id, ids)
    return [_evidence(one, shown.get(one.trace_id or "")) for one in found]


def _evidence(feedback: Feedback, trace: dict[str, str] | None) -> Evidence:
    return Evidence(
        feedback=feedback,
        query=trace["query"] if trace else None,
        output=trace["output"] if trace else None,
    )
