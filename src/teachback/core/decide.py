"""From matches to what is done: chosen, assigned and composed, alike in the server and the SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from teachback.core.assign import assign
from teachback.core.choose import Alike, Considered, Gate, Match, choose
from teachback.core.compose import render
from teachback.model.recall import Ask, Injection, Rules, Variant

#: Lessons left out that are recorded beside those that were chosen: what nearly was.
LOGGED = 5

#: What became of a request: of what was chosen, or why nothing was.
Outcome = Literal[
    "injected", "held_back", "holdout", "nothing_fits", "no_lessons", "late", "failed"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Injected:
    """What is added to one request, and why."""

    outcome: Outcome
    #: The block for the system context; None when nothing is added.
    text: str | None = None
    #: What is recorded: those chosen, in the order of the prompt, then some that were left out.
    injections: tuple[Injection, ...] = ()
    considered: tuple[Considered, ...] = ()

    @property
    def chosen(self) -> tuple[Considered, ...]:
        """The lessons chosen, given or not."""
        return tuple(one for one in self.considered if one.position is not None)


def decide(
    matches: Sequence[Match], ask: Ask, rules: Rules, *, gate: Gate, salt: str, now: datetime,
    alike: Alike | None = None,
) -> Injected:  # fmt: skip
    """Choose among matches, and tell what is to be added to the request."""
    considered = choose(matches, ask, rules, gate=gate, salt=salt, now=now, alike=alike)
    chosen = [one for one in considered if one.position is not None]
    if not chosen:
        return Injected(outcome="nothing_fits", considered=tuple(considered))
    variant, propensity = assign(salt, ask, rules)
    given = variant == "injected"
    return Injected(
        outcome=variant,
        text=render([one.lesson for one in chosen], rules.wording) if given else None,
        injections=tuple(
            _injection(one, variant, propensity) for one in considered[: len(chosen) + LOGGED]
        ),
        considered=tuple(considered),
    )


def _injection(one: Considered, variant: Variant, propensity: float) -> Injection:
    return Injection(
        lesson_id=one.lesson.id,
        version=one.lesson.version,
        rank=one.match.rank,
        score=round(one.match.score, 6),
        position=one.position,
        tokens=one.tokens,
        variant=variant,
        propensity=propensity,
        reason=one.reason,
    )
