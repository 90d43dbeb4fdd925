"""Which lessons reach a prompt: few, each for a reason, and every other one left out for one."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from teachback.core.assign import in_canary
from teachback.core.compose import cost, frame_cost
from teachback.model.lesson import Lesson, Scope
from teachback.model.recall import Ask, Reason, Rules

#: Days after which a lesson that nobody touched counts half as much as a new one.
HALF_LIFE_DAYS = 90
#: Cosine from which two situations are the same one.
SAME = 0.9

Alike = Callable[[Lesson, Lesson], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A lesson that a query was compared with."""

    lesson: Lesson
    #: Cosine of query and situation; 1 when they are equal word for word.
    score: float
    #: The query is the situation, but for case, spaces and the mark at the end.
    exact: bool = False
    #: Place by nearness, from 1.
    rank: int = 0


class Gate(Protocol):
    """Decides whether a match is near enough to be given."""

    @property
    def by_meaning(self) -> bool:
        """Whether it looks at more than equal words: then a query needs its vector."""

    def fits(self, match: Match) -> bool:
        """Tell whether the lesson is about what was asked, within the project's bound of error."""


@dataclass(frozen=True, slots=True)
class ExactGate:
    """Lets equal texts pass alone: for projects without enough data to know better."""

    @property
    def by_meaning(self) -> bool:
        """It does not."""
        return False

    def fits(self, match: Match) -> bool:
        """Tell whether query and situation are equal."""
        return match.exact


@dataclass(frozen=True, slots=True)
class CosineGate:
    """Lets pass what is equal or at least as near as a threshold that was calibrated."""

    threshold: float

    @property
    def by_meaning(self) -> bool:
        """It does."""
        return True

    def fits(self, match: Match) -> bool:
        """Tell whether the match is near enough."""
        return match.exact or match.score >= self.threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Considered:
    """A match and what was decided about it."""

    match: Match
    reason: Reason
    #: Place in the prompt, from 1; None when it was left out.
    position: int | None = None
    tokens: int = 0

    @property
    def lesson(self) -> Lesson:
        return self.match.lesson


def choose(
    matches: Sequence[Match], ask: Ask, rules: Rules, *, gate: Gate, salt: str, now: datetime,
    alike: Alike | None = None,
) -> list[Considered]:  # fmt: skip
    """Decide about every match: first those that are given, in the order of the prompt.

    `alike` tells whether two situations are the same; by their words when absent.
    """
    there = frozenset(match.lesson.id for match in matches if _in_force(match.lesson, now))
    case = _Case(ask, rules, gate, salt, now, there)
    left: list[Considered] = []
    fitting: list[Match] = []
    for match in matches:
        reason = case.against(match)
        if reason is None:
            fitting.append(match)
        else:
            left.append(Considered(match=match, reason=reason))
    picker = _Picker(rules, alike or same_words)
    for match in sorted(fitting, key=lambda match: _order(match, now)):
        picker.offer(match)
    return [*picker.placed(), *picker.left, *sorted(left, key=lambda one: one.match.rank)]


def fingerprint(text: str) -> str:
    """Return a text as it is compared with others: without case, spaces and marks at the end."""
    # What is very long is no question that is asked again word for word.
    folded = unicodedata.normalize("NFKC", text[:MAX_FINGERPRINT]).casefold()
    return re.sub(r"\s+", " ", folded).strip(_ENDS)


MAX_FINGERPRINT = 4_000
_ENDS = " \t.?!…。¿¡;:,"


def in_scope(scope: Scope, ask: Ask) -> bool:
    """Tell whether a lesson holds for a request; what is not known of that is not in its scope."""
    # Most dimensions of most lessons are open: those cost nothing.
    return (
        (not scope.environments or _holds(scope.environments, (ask.environment,)))
        and (not scope.roles or _holds(scope.roles, (ask.role,)))
        and (not scope.surfaces or _holds(scope.surfaces, (ask.surface,)))
        and (not scope.models or _holds(scope.models, (ask.model,)))
        and (not scope.topics or _holds(scope.topics, ask.topics))
        # `de` holds for `de-AT`, and `support` for `support@7`.
        and (not scope.locales or _holds(scope.locales, _with_parents(ask.locale, "-")))
        and (not scope.prompts or _holds(scope.prompts, _with_parents(ask.prompt, "@")))
    )


def _holds(wanted: Sequence[str], given: Iterable[str | None]) -> bool:
    folded = {word.casefold() for word in wanted}
    return any(word is not None and word.casefold() in folded for word in given)


def _with_parents(text: str | None, separator: str) -> list[str]:
    parts = text.split(separator) if text else []
    return [separator.join(parts[:end]) for end in range(1, len(parts) + 1)]


@dataclass(frozen=True, slots=True)
class _Case:
    """What each match is judged by."""

    ask: Ask
    rules: Rules
    gate: Gate
    salt: str
    now: datetime
    #: Ids of the matches in force.
    there: frozenset[str]

    def against(self, match: Match) -> Reason | None:
        """Return what speaks against a lesson by itself, if anything does."""
        lesson = match.lesson
        if not _in_force(lesson, self.now):
            lapsed = lesson.is_in_force and _expired(lesson, self.now)
            return "expired" if lapsed else "not_live"
        if lesson.superseded_by in self.there:
            return "superseded"
        if not in_scope(lesson.scope, self.ask):
            return "out_of_scope"
        if not self.gate.fits(match):
            return "does_not_fit"
        if lesson.state == "canary" and not in_canary(self.salt, self.ask, self.rules, lesson.id):
            return "not_in_canary"
        return None


def _in_force(lesson: Lesson, now: datetime) -> bool:
    """Tell it of the lesson itself, whoever has handed it in."""
    approved = lesson.approved_at is not None and lesson.killed_at is None
    return lesson.is_in_force and approved and not _expired(lesson, now)


def _expired(lesson: Lesson, now: datetime) -> bool:
    return lesson.expires_at is not None and lesson.expires_at <= now


def _order(match: Match, now: datetime) -> tuple[float, float, int, str]:
    """Return what orders lessons that all fit: priority, worth, and then the same everywhere."""
    lesson = match.lesson
    days = max((now - lesson.updated_at).total_seconds() / 86_400, 0.0)
    trust = (lesson.helpful + 1) / (lesson.helpful + lesson.harmful + 2)
    worth = match.score * trust * math.exp(-math.log(2) / HALF_LIFE_DAYS * days)
    return -lesson.priority, -worth, match.rank, lesson.id


class _Picker:
    """Takes lessons as long as there is room of their kind, and remembers why not the others."""

    def __init__(self, rules: Rules, alike: Alike) -> None:
        self.left: list[Considered] = []
        self._rules, self._alike = rules, alike
        self._taken: list[Considered] = []
        #: Room for examples, and for the others.
        self._room = {True: rules.examples, False: rules.lessons}
        self._tokens = frame_cost(rules.wording)

    def offer(self, match: Match) -> None:
        """Take a lesson, or leave it with its reason."""
        against, tokens = self._against(match.lesson)
        if against is not None:
            self.left.append(Considered(match=match, reason=against, tokens=tokens))
            return
        self._tokens += tokens
        self._room[_is_example(match.lesson)] -= 1
        reason: Reason = "exact" if match.exact else "near"
        self._taken.append(Considered(match=match, reason=reason, tokens=tokens))

    def placed(self) -> list[Considered]:
        """Return what was taken: what is to be known before what it looks like."""
        ordered = sorted(self._taken, key=lambda one: _is_example(one.lesson))
        return [replace(one, position=place) for place, one in enumerate(ordered, 1)]

    def _against(self, lesson: Lesson) -> tuple[Reason | None, int]:
        """Return what speaks against a lesson, and its tokens where they were counted.

        What is cheap to know comes first: most candidates are left out for want of room.
        """
        is_example = _is_example(lesson)
        if self._room[is_example] <= 0:
            return "one_is_enough", 0
        of_its_sort = [one.lesson for one in self._taken if _is_example(one.lesson) == is_example]
        if any(_content(other) == _content(lesson) for other in of_its_sort):
            return "repeats", 0
        if any(self._alike(other, lesson) for other in of_its_sort):
            return "conflicts", 0
        tokens = cost(lesson, self._rules.wording)
        return ("over_budget" if self._tokens + tokens > self._rules.max_tokens else None), tokens


def _is_example(lesson: Lesson) -> bool:
    return lesson.kind == "example"


def _content(lesson: Lesson) -> tuple[str, str]:
    return fingerprint(lesson.text), fingerprint(lesson.answer or "")


def same_words(one: Lesson, other: Lesson) -> bool:
    """Tell whether two lessons are of one kind and for one situation, by its words."""
    return one.kind == other.kind and fingerprint(one.situation) == fingerprint(other.situation)
