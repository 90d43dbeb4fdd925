"""Drafts of lessons from what was said about one answer.

What an end user wrote becomes the words of a draft in two forms only: as the good answer of an
*example*, when a reviewer stands behind it, and as the replaced span of a *fact*. A *guidance* is
one of the project's own sentences. What a thumb down was given for is never shown again. All of
it is a draft until a member approves it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from teachback.act import curate
from teachback.act.curate import Wording
from teachback.act.lessons import MAY_APPROVE
from teachback.act.word import reword
from teachback.errors import Conflict
from teachback.llm.chat import Chat
from teachback.model.feedback import Feedback
from teachback.model.lesson import Actor, Lesson, LessonKind, Scope
from teachback.model.project import Reason, guidance_of
from teachback.model.trace import Trace
from teachback.record.trail import Judgement, Trail, get_judgement, get_trail
from teachback.store import lessons as store
from teachback.store.database import Database

#: The bounds of a lesson's texts: see capture/lessons.py.
MAX_SITUATION, MAX_TEXT, MAX_ANSWER = 2_000, 4_000, 8_000
#: Fewer words than this are no sentence by themselves.
FEW_WORDS = 3
_SENTENCE_END = re.compile(r"[.!?…][\"')\]»”]*(?=\s)|\n")
_LIST_MARK = re.compile(r"^\s*(?:[-*+•]|#{1,6}|\d+[.)])\s+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A lesson that could be drafted."""

    #: The same for the same evidence: proposing again finds the draft.
    key: str
    kind: LessonKind
    wording: Wording


async def propose(
    db: Database, project_id: str, feedback_id: str, reasons: Sequence[Reason], *, by: Actor,
    confirmed: bool = False, chat: Chat | None = None,
) -> list[Lesson]:  # fmt: skip
    """Draft what follows from one feedback; raises NotFound, Forbidden or Conflict.

    `confirmed` says that the member who asks has checked the correction.
    """
    judgement = await get_judgement(db, project_id, feedback_id)
    trace_id = judgement.feedback.trace_id
    if trace_id is None or not judgement.matched:
        raise Conflict("a lesson is drafted from feedback on a trace that has arrived")
    trail = await get_trail(db, project_id, trace_id)
    found = proposals(trail, [judgement], reasons, confirmed=confirmed and _may_confirm(by))
    return [await _keep(db, project_id, one, trail.trace, by=by, chat=chat) for one in found]


async def propose_all(
    db: Database, project_id: str, trace_id: str, reasons: Sequence[Reason], *, by: Actor,
    confirmed: bool = False, chat: Chat | None = None,
) -> list[Lesson]:  # fmt: skip
    """Draft what follows from all that was said about a trace; raises NotFound or Forbidden."""
    trail = await get_trail(db, project_id, trace_id)
    found = proposals(trail, trail.judgements, reasons, confirmed=confirmed and _may_confirm(by))
    return [await _keep(db, project_id, one, trail.trace, by=by, chat=chat) for one in found]


def proposals(
    trail: Trail, judgements: Sequence[Judgement], reasons: Sequence[Reason], *,
    confirmed: bool = False,
) -> list[Proposal]:  # fmt: skip
    """Return what could be learned from these judgements of a trail's trace."""
    trace = trail.trace
    if not trace.query.strip():
        return []
    found: list[Proposal] = []
    for judgement in judgements:
        feedback = judgement.feedback
        if feedback.withdrawn or feedback.span_id is not None:
            continue
        if feedback.kind == "correction" and (confirmed or is_confirmed(judgement, trail)):
            found += _example(trace, feedback)
        if feedback.kind == "annotation" and not _is_rejected(judgement):
            found += _fact(trace, feedback)
        if feedback.kind in ("reasons", "annotation"):
            found += _guidance(trace, feedback, reasons)
    return list({one.key: one for one in found}.values())


def is_confirmed(judgement: Judgement, trail: Trail) -> bool:
    """Tell whether staff stands behind a correction: wrote it, or wrote the same."""
    if judgement.feedback.source == "reviewer":
        return True
    said = (judgement.feedback.correction or "").strip()
    return any(
        one.feedback.source == "reviewer" and (one.feedback.correction or "").strip() == said
        for one in trail.judgements
        if not one.feedback.withdrawn
    )


def corrected_sentence(text: str, start: int, end: int, correction: str) -> str:
    """Return the sentence around a span, from its first to its last character, with it replaced."""
    begins = max((m.end() for m in _SENTENCE_END.finditer(text, 0, start + 1) if m.end() <= start),
                 default=0)  # fmt: skip
    match = _SENTENCE_END.search(text, max(end - 1, start))
    ends = match.end() if match and match.end() >= end else len(text)
    sentence = f"{text[begins:start]}{correction}{text[end:ends]}"
    return _LIST_MARK.sub("", " ".join(sentence.split()))


def _example(trace: Trace, feedback: Feedback) -> list[Proposal]:
    answer = (feedback.correction or "").strip()
    fits = 0 < len(answer) <= MAX_ANSWER and len(trace.query) <= MAX_SITUATION
    if not fits or answer == (trace.output or "").strip():
        return []
    wording = _wording(trace, feedback, trace.query, "From a confirmed correction")
    return [_proposal("example", feedback, replace(wording, answer=answer))]


def _fact(trace: Trace, feedback: Feedback) -> list[Proposal]:
    selector, correction = feedback.selector, (feedback.correction or "").strip()
    if selector is None or not correction or correction == selector.exact.strip():
        return []
    source = _source(trace, feedback)
    if source is not None and source[selector.start : selector.end] == selector.exact:
        text = corrected_sentence(source, selector.start, selector.end, correction)
    elif len(correction.split()) >= FEW_WORDS:
        text = correction
    else:
        text = f"Not “{selector.exact.strip()}” but “{correction}”."
    if len(text) > MAX_TEXT:
        return []
    where = "a document" if selector.part == "context" else "the answer"
    wording = _wording(trace, feedback, text, f"From a passage of {where} that was corrected")
    return [_proposal("fact", feedback, wording)]


def _guidance(trace: Trace, feedback: Feedback, reasons: Sequence[Reason]) -> list[Proposal]:
    known = {reason.label: reason for reason in reasons}
    named = [known[label] for label in feedback.labels if label in known]
    return [
        _proposal(
            "guidance", feedback, _wording(trace, feedback, text, f"From the reason “{one.title}”"),
            part=one.label,
        )
        for one in named
        if (text := guidance_of(one).strip())
    ]  # fmt: skip


def _wording(trace: Trace, feedback: Feedback, text: str, reason: str) -> Wording:
    return Wording(
        situation=trace.query[:MAX_SITUATION],
        text=text,
        scope=Scope(locales=(trace.locale,) if trace.locale else ()),
        provenance=(feedback.id,),
        reason=reason,
    )


def _proposal(
    kind: LessonKind, feedback: Feedback, wording: Wording, *, part: str = ""
) -> Proposal:
    named = "\n".join((kind, feedback.id, part))
    digest = hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=10).hexdigest()
    return Proposal(key=f"{kind}-{digest}", kind=kind, wording=wording)


def _source(trace: Trace, feedback: Feedback) -> str | None:
    selector = feedback.selector
    if selector is None:
        return None
    if selector.part == "output":
        return trace.output
    index = selector.index
    if index is None or not 0 <= index < len(trace.context):
        return None
    item = trace.context[index]
    # Prompts, tools and earlier turns state no facts that a lesson could set right.
    return item.content if item.kind == "document" else None


def _is_rejected(judgement: Judgement) -> bool:
    verdicts = [one.action for one in judgement.thread if one.action in ("accept", "reject")]
    return bool(verdicts) and verdicts[-1] == "reject"


def _may_confirm(by: Actor) -> bool:
    return by.kind == "member" and by.role in MAY_APPROVE


async def _keep(
    db: Database, project_id: str, proposal: Proposal, trace: Trace, *, by: Actor,
    chat: Chat | None,
) -> Lesson:  # fmt: skip
    """Keep a proposal as a draft, once."""
    found = await store.find_by_id(db, project_id, proposal.key)
    if found is not None:
        return found
    wording = await reword(chat, proposal.kind, proposal.wording, trace)
    try:
        return await curate.draft(
            db, project_id, proposal.kind, wording, by=by, lesson_id=proposal.key
        )
    except Conflict:  # somebody has just proposed the same
        return await store.get_lesson(db, project_id, proposal.key)
