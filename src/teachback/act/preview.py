"""What a lesson would have done: the exchanges it would have touched, and their prompt with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from teachback.core.choose import Gate, Match, fingerprint, in_scope
from teachback.core.compose import into_content, render
from teachback.errors import Unavailable
from teachback.llm.embed import BadVectors, Embedder
from teachback.model.lesson import Lesson, LessonVersion
from teachback.model.query import Query
from teachback.model.recall import Ask, Rules
from teachback.model.trace import Trace
from teachback.recall.embedding import nearest
from teachback.store import search, traces
from teachback.store.database import Database
from teachback.store.where import where

#: Exchanges that are looked through, and shown.
CANDIDATES, SHOWN = 200, 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Touched:
    """A recorded exchange that is about the lesson's situation, in its scope."""

    trace: Trace
    #: Cosine of its query and the situation; None when it was found by its words.
    score: float | None
    #: The project's gate, as it stands now, would have let the lesson through.
    given: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a lesson would have done."""

    #: Those that would have been given it first, then the others by nearness.
    touched: tuple[Touched, ...]
    #: What would have been put into the prompt.
    block: str
    #: The trace whose prompt is shown, and its system context with the block in its place.
    trace_id: str | None
    prompt: str


async def preview(
    db: Database, lesson: Lesson, wording: LessonVersion, *, rules: Rules, gate: Gate,
    embedder: Embedder | None,
) -> Preview:  # fmt: skip
    """Look at what this wording would have done among exchanges with feedback."""
    shown = replace(
        lesson, situation=wording.situation, text=wording.text, answer=wording.answer,
        scope=wording.scope,
    )  # fmt: skip
    scores = await _scores(db, shown, embedder)
    found = await traces.find_traces(db, lesson.project_id, list(scores))
    inside = [
        found[one] for one in scores if one in found and in_scope(shown.scope, ask(found[one]))
    ]
    touched = [_touched(shown, trace, scores[trace.id], gate) for trace in inside]
    # Sorting keeps the order by nearness among equals.
    touched = sorted(touched, key=lambda one: not one.given)[:SHOWN]
    block = render([shown], rules.wording) or ""
    example = (
        await traces.get_trace(db, lesson.project_id, touched[0].trace.id) if touched else None
    )
    return Preview(
        touched=tuple(touched),
        block=block,
        trace_id=example.id if example else None,
        prompt=str(into_content(_system(example), block)),
    )


def ask(trace: Trace) -> Ask:
    """Return a recorded exchange as recall would have been asked about it."""
    prompts = [item for item in trace.context if item.kind == "system_prompt" and item.name]
    named = "@".join(filter(None, (prompts[0].name, prompts[0].version))) if prompts else None
    return Ask(
        query=trace.query, model=trace.request_model, prompt=named, environment=trace.environment,
        role=trace.role, surface=trace.surface, locale=trace.locale, user_id=trace.user_id,
        session_id=trace.session_id, trace_id=trace.id,
    )  # fmt: skip


async def _scores(
    db: Database, lesson: Lesson, embedder: Embedder | None
) -> dict[str, float | None]:
    """Return traces by nearness to the situation: by meaning, else by words."""
    if embedder is not None:
        try:
            near = await nearest(
                db, lesson.project_id, embedder, lesson.situation, limit=CANDIDATES
            )
            return {one.id: one.cosine for one in near if one.kind == "query"}
        except (Unavailable, BadVectors):
            pass  # by words; the worker's log tells what is wrong with the model
    asked = await search.ask_words(db, lesson.project_id, lesson.situation)
    by_words = await search.find_by_words(
        db,
        lesson.project_id,
        asked,
        narrowed=where(Query(), "trace", datetime.now(UTC)),
        limit=CANDIDATES,
    )
    return {one.trace_id: None for one in by_words}


def _touched(lesson: Lesson, trace: Trace, score: float | None, gate: Gate) -> Touched:
    exact = fingerprint(trace.query) == fingerprint(lesson.situation)
    match = Match(lesson=lesson, score=1.0 if exact else score or 0.0, exact=exact)
    return Touched(trace=trace, score=score, given=gate.fits(match))


def _system(trace: Trace | None) -> str | None:
    items: Sequence[str] = [
        item.content or "" for item in (trace.context if trace else ())
        if item.kind == "system_prompt"
    ]  # fmt: skip
    return "\n\n".join(items) or None
