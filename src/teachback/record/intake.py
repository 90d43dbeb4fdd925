"""From the bytes of one record to an item the writer can store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from teachback.capture.json import holds_replacement
from teachback.capture.native import Record, decode_feedback, decode_trace
from teachback.core.tokens import Token
from teachback.errors import Forbidden
from teachback.model.feedback import Feedback
from teachback.model.project import Project
from teachback.record.rules import check_feedback, check_trace, is_negative, natural_key
from teachback.store.feedback import NewFeedback
from teachback.store.traces import NewTrace


def trace_item(
    project_id: str, raw: Record, *, now: datetime, drift_s: float = 0.0, sanitized: bool = False
) -> NewTrace:
    """Decode and check one trace of a project; raises Invalid."""
    decoded = decode_trace(raw, now=now, drift_s=drift_s, sanitized=sanitized)
    check_trace(decoded.record)
    return NewTrace.of(project_id, decoded.record, decoded.digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """What all records of one request have in common."""

    project: Project
    #: Narrows feedback to one trace and one author.
    token: Token | None
    #: When the request came; stands in for absent times.
    now: datetime
    #: Seconds that the sender's clock runs behind ours.
    drift_s: float = 0.0
    #: Something in the request's body was replaced by U+FFFD: its records come as bytes.
    sanitized: bool = False

    def trace(self, raw: Record) -> NewTrace:
        """Decode and check a trace; raises Invalid."""
        return trace_item(
            self.project.id, raw, now=self.now, drift_s=self.drift_s,
            sanitized=self._sanitized(raw),
        )  # fmt: skip

    def feedback(self, raw: Record) -> NewFeedback:
        """Decode and check a feedback; raises Invalid, or Forbidden with a foreign token."""
        sanitized = self._sanitized(raw)
        decoded = decode_feedback(raw, now=self.now, drift_s=self.drift_s, sanitized=sanitized)
        feedback = self._owned(decoded.record)
        check_feedback(feedback, self.project)
        return NewFeedback(
            self.project.id,
            feedback,
            natural_key(feedback),
            is_negative(feedback, self.project),
            decoded.digest,
        )

    def _sanitized(self, raw: Record) -> bool:
        return self.sanitized and isinstance(raw, bytes) and holds_replacement(raw)

    def _owned(self, feedback: Feedback) -> Feedback:
        """With a token: only that trace, only as its end user, whatever the body says."""
        if self.token is None:
            return feedback
        if feedback.trace_id != self.token.trace_id:
            raise Forbidden("the feedback token is for another trace: use the one of this answer")
        return replace(feedback, author=self.token.user_id or "", source="end_user")
