"""Withdraw a judgement, and talk about an annotation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from teachback.errors import Conflict, Forbidden, Invalid, NotFound
from teachback.model.feedback import ThreadAction, ThreadEntry
from teachback.model.ids import new_id
from teachback.record.accept import Outcome
from teachback.record.trail import Judgement, get_judgement
from teachback.record.writer import Writer
from teachback.store import threads
from teachback.store.database import Database
from teachback.store.feedback import NewFeedback


async def withdraw(
    db: Database, writer: Writer, project_id: str, feedback_id: str, *, author: str | None
) -> Judgement:
    """Take a judgement back by appending a withdrawal; raises NotFound.

    With `author`, only that author's own judgement: any other is Forbidden.
    """
    judgement = await get_judgement(db, project_id, feedback_id)
    if author is not None and judgement.feedback.author != author:
        raise Forbidden("this feedback was given by somebody else")
    if judgement.feedback.withdrawn:
        return judgement
    await writer.write([_withdrawal(project_id, judgement)])
    return await get_judgement(db, project_id, feedback_id)


async def add_to_thread(
    db: Database,
    project_id: str,
    feedback_id: str,
    *,
    action: ThreadAction,
    author: str,
    comment: str | None,
    entry_id: str | None = None,
    trace_id: str | None = None,
) -> tuple[ThreadEntry, Outcome]:
    """Append to an annotation's thread; raises NotFound, Invalid or Conflict.

    With `trace_id`, only on an annotation of that trace.
    """
    judgement = await get_judgement(db, project_id, feedback_id)
    feedback = judgement.feedback
    if trace_id is not None and feedback.trace_id != trace_id:
        raise NotFound(f"no feedback has the id {feedback_id!a} on this trace")
    _check(judgement, action, comment)
    entry = ThreadEntry(
        id=entry_id or new_id(), action=action, author=author, comment=comment,
        created_at=datetime.now(UTC),
    )  # fmt: skip
    kept = await threads.save_entry(db, project_id, judgement.natural_key, entry)
    if replace(kept, created_at=entry.created_at) != entry:
        raise Conflict(f"the id {entry.id!a} is taken by another entry of this thread")
    return kept, "stored" if kept.created_at == entry.created_at else "duplicate"


#: The calendar's last moment but one.
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)


def _withdrawal(project_id: str, judgement: Judgement) -> NewFeedback:
    given = judgement.feedback
    # After the judgement it takes back, whatever that one's clock said.
    now = datetime.now(UTC)
    at = max(now, min(given.occurred_at, _LAST) + timedelta(microseconds=1))
    feedback = replace(given, id=new_id(), withdrawn=True, occurred_at=at, received_at=now)
    digest = blake2b(feedback.id.encode(), digest_size=12).digest()
    return NewFeedback(project_id, feedback, judgement.natural_key.hex, False, digest)


def _check(judgement: Judgement, action: ThreadAction, comment: str | None) -> None:
    if judgement.feedback.kind != "annotation":
        raise Invalid(
            "id", value=judgement.feedback.id, rule="only annotations have threads",
            fix=f"This feedback is of kind {judgement.feedback.kind}",
        )  # fmt: skip
    if action == "reply" and not comment:
        raise Invalid("comment", rule="a reply has words", fix="Send them in `comment`")
    if action in ("accept", "reject") and judgement.feedback.correction is None:
        raise Invalid(
            "action", value=action, rule="only a suggested correction can be accepted or rejected",
            fix="Reply or resolve instead",
        )  # fmt: skip
