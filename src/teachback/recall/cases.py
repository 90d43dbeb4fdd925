"""Problem cases: what went wrong in exchanges like this one, and what fixed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from teachback.core.choose import fingerprint
from teachback.core.memory import Floats, Memory
from teachback.llm.embed import Embedder, embed_async
from teachback.model.case import Case, NearCase, Replacement
from teachback.model.feedback import Feedback, Source
from teachback.model.query import Query, Term
from teachback.recall.search import CANDIDATES, search
from teachback.store import feedback as judgements
from teachback.store import lessons, vectors
from teachback.store.database import Database
from teachback.store.lessons import LessonFilters

#: How far one voice is believed: a reviewer has looked, an end user may err or mean something
#: else, and behaviour may have any reason.
BELIEVED: dict[Source, float] = {
    "reviewer": 0.9, "evaluator": 0.6, "judge": 0.5, "end_user": 0.6, "detector": 0.3,
}  # fmt: skip
#: What an implicit sign is worth of that.
IMPLICIT = 0.5
#: Lessons that are looked up for the cases of one answer.
MAX_LESSONS = 200
_NEGATIVE = Term(field="negative", values=("yes",))


async def retrieve(
    db: Database, project_id: str, text: str, *, now: datetime, embedder: Embedder | None = None,
    limit: int = 10,
) -> list[NearCase]:  # fmt: skip
    """Return the cases nearest to a query, best first; by word alone while there is no model.

    Cases with one situation, or from which one lesson was learned, count as one problem: the
    query is compared with what they have in common, too.
    """
    query = Query(words=(text,), terms=(_NEGATIVE,))
    hits = await search(db, project_id, query, now=now, embedder=embedder, limit=CANDIDATES)
    ids = [hit.trace.id for hit in hits]
    rows = await judgements.list_for_targets(db, project_id, trace_ids=ids)
    said: defaultdict[str, list[Feedback]] = defaultdict(list)
    for row in rows:
        said[row["trace_id"]].append(judgements.from_row(row))
    learned = await _learned(db, project_id, [row["id"] for row in rows])
    cases = [case_of(hit.trace.id, hit.trace.query, said[hit.trace.id], learned) for hit in hits]
    return (await _ranked(db, project_id, text, cases, embedder))[:limit]


def case_of(
    trace_id: str, situation: str, said: Iterable[Feedback], learned: dict[str, set[str]]
) -> Case:
    """Put together what was said about one exchange; `learned` has lessons by feedback id."""
    told = sorted(
        (one for one in said if not one.withdrawn), key=lambda one: (one.occurred_at, one.id)
    )
    against = [one for one in told if one.is_negative or one.kind in ("reasons", "comment")]
    corrections = [one for one in told if one.kind == "correction" and one.correction]
    replaced = [one for one in told if one.kind == "annotation" and one.correction is not None]
    return Case(
        trace_id=trace_id,
        situation=situation,
        reasons=tuple(dict.fromkeys(label for one in told for label in one.labels)),
        complaints=tuple(one.comment for one in against if one.comment),
        correction=corrections[-1].correction if corrections else None,
        replacements=tuple(
            Replacement(exact=one.selector.exact, correction=one.correction or "")
            for one in replaced
            if one.selector
        ),
        verified=any(one.source == "reviewer" for one in [*corrections[-1:], *replaced]),
        voices=len({_voice(one) for one in told if one.is_negative}),
        strength=_strength([one for one in told if one.is_negative]),
        lessons=tuple(sorted({one for each in told for one in learned.get(each.id, ())})),
    )


def _strength(against: Sequence[Feedback]) -> float:
    """Return one less the chance that every voice is mistaken; of each the surest sign counts."""
    believed: dict[str, float] = {}
    for one in against:
        worth = BELIEVED[one.source] * one.confidence * (IMPLICIT if one.kind == "implicit" else 1)
        believed[_voice(one)] = max(believed.get(_voice(one), 0.0), worth)
    return round(1.0 - float(np.prod([1.0 - worth for worth in believed.values()])), 4)


def _voice(one: Feedback) -> str:
    """Name who speaks; all who are not known count as one of their kind."""
    return f"{one.source} {one.author}"


async def _learned(
    db: Database, project_id: str, feedback_ids: Sequence[str]
) -> dict[str, set[str]]:
    filters = LessonFilters(feedback_ids=tuple(feedback_ids))
    by_feedback: defaultdict[str, set[str]] = defaultdict(set)
    if feedback_ids:
        for lesson in await lessons.list_lessons(db, project_id, filters, limit=MAX_LESSONS):
            for feedback_id in lesson.provenance:
                by_feedback[feedback_id].add(lesson.id)
    return by_feedback


async def _ranked(
    db: Database, project_id: str, text: str, cases: Sequence[Case], embedder: Embedder | None
) -> list[NearCase]:
    """Order cases by how well the query fits their problem; those without vectors come last."""
    known = await _vectors(db, project_id, cases, embedder)
    if embedder is None or not known:
        return [NearCase(case=case, score=None, cosine=None) for case in cases]
    vector = (await embed_async(embedder, [text]))[0]
    there = [case for case in cases if case.trace_id in known]
    problems = [case.lessons[0] if case.lessons else fingerprint(case.situation) for case in there]
    rows = np.stack([known[case.trace_id] for case in there])
    memory = Memory([case.situation for case in there], rows, problems)
    scores = memory.compare([text], vector[None]).score[0]
    score = {group: float(scores[at]) for at, group in enumerate(memory.groups)}
    near = [
        NearCase(case=case, score=score[problem], cosine=float(row @ vector))
        for case, problem, row in zip(there, problems, rows, strict=True)
    ]
    near.sort(key=lambda one: (-(one.score or 0.0), -(one.cosine or 0.0)))
    rest = [case for case in cases if case.trace_id not in known]
    return near + [NearCase(case=case, score=None, cosine=None) for case in rest]


async def _vectors(
    db: Database, project_id: str, cases: Sequence[Case], embedder: Embedder | None
) -> dict[str, Floats]:
    model = await vectors.find_serving(db)
    if embedder is None or model is None or model.name != embedder.model:
        return {}
    return await vectors.read_queries(db, project_id, model, [case.trace_id for case in cases])
