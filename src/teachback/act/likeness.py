"""Near-duplicates and conflicts: lessons of one kind for nearly the same situation and scope."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from teachback.errors import Unavailable
from teachback.llm.embed import BadVectors, Embedder, embed_async
from teachback.model.lesson import LessonKind, LessonState, Scope
from teachback.store import lesson_vectors as store
from teachback.store.database import Database, Row
from teachback.store.vectors import as_vector

#: Cosine from which two situations are one: the curator's rule of ACE for duplicates.
SAME_MEANING = 0.9
#: Share of words in common from which they are, where no model can be asked.
SAME_WORDS = 0.8
#: Situations without vectors that are embedded before a comparison; the rest is compared by words.
FILL = 500
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """A lesson that says something about the same situation."""

    id: str
    state: LessonState
    situation: str
    text: str
    #: 0 to 1, of the situations.
    likeness: float
    by: Literal["meaning", "words"]
    #: `duplicate` says the same; `conflict` something else.
    relation: Literal["duplicate", "conflict"]


async def find_like(
    db: Database, project_id: str, *, kind: LessonKind, situation: str, text: str, scope: Scope,
    besides: str = "", embedder: Embedder | None = None,
) -> list[Like]:  # fmt: skip
    """Return the lessons that contend with this wording, most alike first (at most 20)."""
    if embedder is not None:
        try:
            await _fill(db, project_id, embedder)
            vector = (await embed_async(embedder, [situation]))[0]
            rows = await store.list_near(
                db, project_id, kind=kind, scope=scope, besides=besides, model=embedder.model,
                vector=as_vector(vector.tolist()), at_least=SAME_MEANING,
            )  # fmt: skip
            return [_like(row, float(row["cosine"]), text, by="meaning") for row in rows]
        except (Unavailable, BadVectors):
            pass  # compared by word; the worker's log tells what is wrong with the model
    rows = await store.list_overlapping(db, project_id, kind=kind, scope=scope, besides=besides)
    scored = [(shared_words(row["situation"], situation), row) for row in rows]
    near = sorted((one for one in scored if one[0] >= SAME_WORDS), key=lambda one: -one[0])
    return [_like(row, score, text, by="words") for score, row in near[: store.MAX_NEAR]]


def shared_words(one: str, other: str) -> float:
    """Return the share of words that two texts have in common (Jaccard), 0 to 1."""
    first, second = (set(_WORD.findall(text.casefold())) for text in (one, other))
    return len(first & second) / len(first | second) if first or second else float(one == other)


async def _fill(db: Database, project_id: str, embedder: Embedder) -> None:
    waiting = (await store.list_without_vector(db, project_id, embedder.model))[:FILL]
    if waiting:
        vectors = await embed_async(embedder, [one.situation for one in waiting])
        written = [as_vector(vector.tolist()) for vector in vectors]
        pairs = list(zip(waiting, written, strict=True))
        await store.save_vectors(db, project_id, embedder.model, pairs)


def _like(row: Row, likeness: float, text: str, *, by: Literal["meaning", "words"]) -> Like:
    return Like(
        id=row["id"],
        state=row["state"],
        situation=row["situation"],
        text=row["text"],
        likeness=min(likeness, 1.0),
        by=by,
        relation="duplicate" if shared_words(row["text"], text) >= SAME_WORDS else "conflict",
    )
