"""A case: a past exchange that went wrong, with what fixed it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """A passage of the output, and what it should have been."""

    exact: str
    correction: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One exchange with negative or corrective feedback."""

    trace_id: str
    #: The user's turn.
    situation: str
    #: Labels of the reasons given, each once.
    reasons: tuple[str, ...] = ()
    #: What was said about it, oldest first.
    complaints: tuple[str, ...] = ()
    #: What the whole output should have been: the latest that was given.
    correction: str | None = None
    replacements: tuple[Replacement, ...] = ()
    #: A reviewer has given the correction, or a replacement of theirs stands.
    verified: bool = False
    #: Different people and programs who said so.
    voices: int
    #: How likely it is that something was wrong, 0 to 1: each voice counts once.
    strength: float
    #: Lessons that were learned from it.
    lessons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NearCase:
    """A case that is like a query."""

    case: Case
    #: Comparable between queries; None while the case is known by its words alone.
    score: float | None
    #: Cosine of the situations.
    cosine: float | None
