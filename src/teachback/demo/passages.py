"""Retrieval: every text the assistant could answer from, cut into passages and ranked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from teachback.demo.library import Library
from teachback.demo.words import Index

#: Newer text wins between passages that fit about equally well: a text that is a year older
#: than the newest counts half of this share less.
RECENCY_SHARE = 0.25
HALF_LIFE_DAYS = 365.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraText:
    """A text given along with one question: to the assistant one more document or template."""

    #: What it is about; searched like a title.
    title: str
    #: With `{answer}` in it, a way to word replies; otherwise something to answer from.
    text: str
    id: str = ""
    version: str = ""
    locale: str = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A piece of text that can be an answer."""

    text: str
    #: Title of what it is taken from.
    title: str
    #: Where it is taken from: names a document, action or extra text; empty for a recollection.
    source: str
    kind: Literal["document", "tool", "recollection"] = "document"
    #: What search looks at, besides the text.
    about: str = ""
    #: Absent means from now.
    updated: dt.date | None = None
    locale: str = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A passage found, with how well it fits."""

    passage: Passage
    score: float
    #: Share of the question's weight that the passage has words for.
    coverage: float


class Shelf:
    """Passages that can be searched."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages
        self._index = Index(map(_searched, passages))
        dates = [each.updated for each in passages if each.updated]
        self._newest = max(dates, default=dt.date.min)

    def search(self, query: str, *, earlier: str = "") -> list[Hit]:
        """Return what shares words with the query, best first; earlier turns count less."""
        weights = self._index.weights(query, also=earlier)
        scores = self._index.scores(weights)
        hits = [
            Hit(
                passage=self.passages[number],
                score=score * self._freshness(self.passages[number].updated),
                coverage=self._index.coverage(number, weights),
            )
            for number, score in scores.items()
        ]
        return sorted(hits, key=lambda hit: -hit.score)

    def _freshness(self, updated: dt.date | None) -> float:
        age_days = (self._newest - updated).days if updated else 0
        lasting: float = 0.5 ** (age_days / HALF_LIFE_DAYS)
        return 1 - RECENCY_SHARE * (1 - lasting)


def library_passages(library: Library) -> list[Passage]:
    """Cut a library into passages: a section of a page, an action, a recollection each."""
    return [*_sections(library), *_actions(library), *_recollections(library)]


def extra_passages(extras: Iterable[ExtraText]) -> list[Passage]:
    """Return texts given with a question as passages beside the library's own."""
    return [
        Passage(
            text=extra.text,
            title=extra.title,
            source=extra.id or extra.title,
            about=f"{extra.title} {extra.title}",
            locale=extra.locale,
        )
        for extra in extras
        if "{answer}" not in extra.text
    ]


def _searched(passage: Passage) -> str:
    """Return what search looks at; a tool is found by its description, not by its result."""
    return passage.about if passage.kind == "tool" else f"{passage.about} {passage.text}"


def _sections(library: Library) -> Iterable[Passage]:
    for document in library.documents.values():
        finds = document.finds
        for heading, text in document.sections.items():
            yield Passage(
                text=text,
                title=document.title,
                source=document.id,
                about=" ".join(
                    [document.title, document.keywords, heading, finds.get(heading, "")]
                ),
                updated=document.updated,
                locale=document.locale,
            )


def _actions(library: Library) -> Iterable[Passage]:
    for action in library.actions.values():
        yield Passage(
            text="\n".join(f"{place}. {step}" for place, step in enumerate(action.steps, 1)),
            title=action.title,
            source=action.id,
            kind="tool",
            about=f"{action.title} {action.title} {action.keywords}",
            updated=action.updated,
        )


def _recollections(library: Library) -> Iterable[Passage]:
    for memory in library.recollections.values():
        yield Passage(
            text=memory.text,
            title=memory.title,
            source="",
            kind="recollection",
            about=f"{memory.title} {memory.title} {memory.keywords}",
            updated=memory.updated,
        )
