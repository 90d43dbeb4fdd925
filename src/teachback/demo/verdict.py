"""How an end user judges an answer: by what they know, what they notice, and by trying it.

Nothing here knows why an answer is as it is. Whatever makes the answer right makes them content.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec

from teachback.demo.library import Action, read_text
from teachback.demo.questions import Question, Truths

Problem = Literal["wrong", "vague", "rude", "refused", "off_topic", "laborious"]

_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_LIST_NUMBER = re.compile(r"^\d+\.\s", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """What people put up with: steps, and seconds of waiting."""

    steps: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticing:
    """What anybody notices in an answer."""

    rude: tuple[str, ...]
    admits: tuple[str, ...]
    effort: Effort


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is the matter with an answer, worst first; nothing when it served."""

    problems: tuple[Problem, ...] = ()
    #: The part of the answer that bothers the reader most; empty when it is the whole.
    passage: str = ""
    #: Steps that the answer asks for.
    steps: int = 0

    @property
    def is_served(self) -> bool:
        return not self.problems


@cache
def noticing() -> Noticing:
    """Return what anybody notices, from the data."""
    return msgspec.convert(tomllib.loads(read_text("observing.toml")), Noticing)


def judge(question: Question, answer: str, truths: Truths, *, locale: str = "en") -> Verdict:
    """Compare an answer with what the end user knows and finds."""
    rude = _said(noticing().rude, answer)
    problems, passage, steps = _content(question, answer, truths, locale)
    if rude:
        return Verdict(problems=("rude", *problems), passage=passage or rude, steps=steps)
    return Verdict(problems=problems, passage=passage, steps=steps)


def _content(
    question: Question, answer: str, truths: Truths, locale: str
) -> tuple[tuple[Problem, ...], str, int]:
    admits = bool(_said(noticing().admits, answer))
    if not question.document and not question.action:
        return (() if admits else ("off_topic",)), "", 0
    if question.action:
        return _tried(truths.actions[question.action], answer)
    strange = _strange_figures(answer, truths.text(question, locale))
    missing = [fact for fact in question.knows(locale) if not contains(answer, fact)]
    if strange:
        return ("wrong",), _sentence_with(answer, strange[0]), 0
    if missing:
        return (("refused",) if admits else ("vague",)), "", 0
    return (), "", 0


def _tried(action: Action, answer: str) -> tuple[tuple[Problem, ...], str, int]:
    """Follow the steps: they may not be those of the product, or be too many."""
    said = [step for step in action.steps if contains(answer, step)]
    if len(said) < len(action.steps):
        return ("vague",), "", 0
    limit = noticing().effort
    if len(said) > limit.steps or action.seconds > limit.seconds:
        return ("laborious",), said[len(said) // 2], len(said)
    return (), "", len(said)


def contains(answer: str, fact: str) -> bool:
    """Whether an answer states a fact; a figure does not count as part of a longer one."""
    pattern = rf"(?<![\d.,]){re.escape(fact)}" if fact[:1].isdigit() else re.escape(fact)
    return re.search(pattern, answer, re.IGNORECASE) is not None


def _strange_figures(answer: str, truth: str) -> list[str]:
    """Return the figures of an answer that the truth does not have."""
    known = set(_FIGURE.findall(truth))
    said = _FIGURE.findall(_LIST_NUMBER.sub("", answer))
    return [figure for figure in said if figure not in known]


def _sentence_with(answer: str, figure: str) -> str:
    """Return the few words around a figure, as a reader would quote them."""
    match = re.search(rf"(?:\S+ )?(?<![\d.,]){re.escape(figure)}(?: [^\s.,;!?]+)?", answer)
    return match[0] if match else figure


def _said(markers: tuple[str, ...], answer: str) -> str:
    """Return the first marker that an answer contains, as it is written there."""
    for marker in markers:
        if found := re.search(re.escape(marker), answer, re.IGNORECASE):
            return found[0]
    return ""
