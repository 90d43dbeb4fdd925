"""What was injected into a request, and why; and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachback.model.recall import Reason, Variant
from teachback.server.console.views.formats import number, percent, plural
from teachback.store.injections import StoredInjection

KINDS = {"guidance": "Guidance", "fact": "Fact", "template": "Template", "example": "Example"}
WHY: dict[Reason, str] = {
    "exact": "this very question was asked before",
    "near": "near enough by the project's gate",
    "not_live": "not in force",
    "expired": "expired",
    "superseded": "another lesson took its place",
    "out_of_scope": "not for such a request",
    "not_in_canary": "in canary, and this end user is not among the first",
    "does_not_fit": "not near enough",
    "one_is_enough": "there was a better one",
    "conflicts": "contradicts one that was chosen",
    "repeats": "says what another one says",
    "over_budget": "no room left in the token budget",
}
WHAT: dict[Variant, str] = {
    "injected": "",
    "held_back": "Held back by chance, to measure what these lessons change.",
    "holdout": "Not given: this end user belongs to those who get no lessons, to compare with.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectionView:
    """One lesson that was considered."""

    title: str
    version: int
    text: str
    why: str
    score: str
    chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectionsView:
    """All that were considered for one request."""

    sum: str
    #: Why nothing of it was given, when it was not.
    notice: str
    #: The chance of being given, where it was left to chance.
    chance: str | None
    rows: tuple[InjectionView, ...]


def injections_view(stored: Sequence[StoredInjection]) -> InjectionsView | None:
    """Lay out the injections of a trail; None when nothing was chosen for it."""
    if not stored:
        return None
    first = stored[0].injection
    chosen = [one for one in stored if one.injection.position is not None]
    tokens = sum(one.injection.tokens for one in chosen)
    given = first.variant == "injected"
    return InjectionsView(
        sum=f"{plural(len(chosen), 'lesson')}, about {plural(tokens, 'token')}"
        if given
        else "nothing given",
        notice=WHAT[first.variant],
        chance=percent(first.propensity) if 0 < first.propensity < 1 else None,
        rows=tuple(map(_row, stored)),
    )


def _row(stored: StoredInjection) -> InjectionView:
    injection = stored.injection
    text = stored.text if stored.text is not None else "This lesson is not kept here any more."
    return InjectionView(
        title=KINDS.get(stored.kind or "", "Lesson"),
        version=injection.version,
        text=f"{text}\n\n{stored.answer}" if stored.answer else text,
        why=WHY[injection.reason],
        score=number(injection.score),
        chosen=injection.position is not None,
    )
