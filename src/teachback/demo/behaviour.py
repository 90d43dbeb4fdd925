"""What people do about an answer: mostly nothing; sometimes they say so, in one of six ways."""

from __future__ import annotations

import datetime as dt
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec

from teachback.demo.library import read_text
from teachback.demo.people import Person, pick
from teachback.demo.questions import Question
from teachback.demo.verdict import Verdict
from teachback.demo.voice import Voice

Kind = Literal["rating", "reasons", "comment", "correction", "annotation", "implicit"]
#: What somebody does next about the same need.
Move = Literal["content", "regenerate", "rephrase", "abandon", "leave_it"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One thing somebody says or shows about an answer."""

    kind: Kind
    #: Behaviour, when implicit.
    name: str = ""
    score: float | None = None
    #: On five stars instead of a thumb.
    is_stars: bool = False
    labels: tuple[str, ...] = ()
    text: str = ""
    #: The highlighted passage, as it stands in the answer.
    passage: str = ""
    #: What the passage should say.
    replacement: str = ""
    #: True takes an earlier judgement of this kind back.
    is_withdrawn: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What somebody gives in one go, some time after the answer."""

    delay: dt.timedelta
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Somebody before an answer."""

    person: Person
    question: Question
    verdict: Verdict
    answer: str


class _Chances(msgspec.Struct):
    """Chances of acting on an answer; see the data for what they are."""

    thumb: float
    reasons_with_thumb: float
    comment_with_thumb: float
    stars: float
    dwell: float
    edit: float
    correction_with_thumb: float = 0.0
    comment_alone: float = 0.0
    correction_alone: float = 0.0
    highlight: float = 0.0
    copy: float = 0.0
    accept: float = 0.0
    regenerate: float = 0.0
    rephrase: float = 0.0
    abandon: float = 0.0


class _Slips(msgspec.Struct):
    wrong_thumb: float
    withdraw: float


class _Behaviour(msgspec.Struct):
    served: _Chances
    unserved: _Chances
    slips: _Slips
    ticks: dict[str, dict[str, float]]


def react(rng: random.Random, voice: Voice, at: Situation) -> list[Submission]:
    """Return what a person gives on an answer, in order of time."""
    chances = _chances(at.verdict)
    given = [_explicit(rng, voice, at, chances), _alone(rng, voice, at, chances)]
    given += [_shown(rng, chances)]
    found = [each for each in given if each]
    return [*(_submission(rng, each) for each in found), *_slips(rng, found)]


def next_move(rng: random.Random, at: Situation, *, misses: int) -> Move:
    """Return what a person does after an answer that missed `misses` times now."""
    if at.verdict.is_served or "laborious" in at.verdict.problems:
        return "content" if at.verdict.is_served else "leave_it"
    chances = _chances(at.verdict)
    if misses >= at.person.patience:
        return "abandon" if rng.random() < 2 * chances.abandon else "leave_it"
    moves: Mapping[Move, float] = {
        "regenerate": chances.regenerate,
        "rephrase": chances.rephrase,
        "abandon": chances.abandon,
    }
    rest = max(0.0, 1 - sum(moves.values()))
    return rng.choices([*moves, "leave_it"], [*moves.values(), rest])[0]


def rate_visit(rng: random.Random, person: Person, *, served: int, asked: int) -> Judgement | None:
    """Return the stars somebody gives a whole visit, if they do."""
    chances = behaviour().served if served == asked else behaviour().unserved
    if rng.random() >= chances.stars * person.answers:
        return None
    stars = 1 + round(4 * served / asked) + rng.choice([-1, 0, 0, 0])
    return Judgement(kind="rating", score=min(5, max(1, stars)), is_stars=True)


@cache
def behaviour() -> _Behaviour:
    """Return the chances from the data."""
    return msgspec.convert(tomllib.loads(read_text("behaviour.toml")), _Behaviour)


def _chances(verdict: Verdict) -> _Chances:
    return behaviour().served if verdict.is_served else behaviour().unserved


def _explicit(
    rng: random.Random, voice: Voice, at: Situation, chances: _Chances
) -> list[Judgement]:
    """Give a thumb, and what may come with it."""
    if rng.random() >= chances.thumb * at.person.answers:
        return []
    given = [Judgement(kind="rating", score=float(at.verdict.is_served))]
    if rng.random() < chances.reasons_with_thumb:
        given.append(Judgement(kind="reasons", labels=_ticks(rng, at.verdict)))
    if rng.random() < chances.comment_with_thumb:
        given.append(_comment(voice, at))
    if rng.random() < chances.correction_with_thumb:
        given += _correction(voice, at)
    return given


def _alone(rng: random.Random, voice: Voice, at: Situation, chances: _Chances) -> list[Judgement]:
    """Give words, a better answer or a highlight without a thumb."""
    keen = at.person.answers
    if rng.random() < chances.highlight * keen and (note := _highlight(rng, voice, at)):
        return [note]
    if rng.random() < chances.comment_alone * keen:
        return [_comment(voice, at)]
    if rng.random() < chances.correction_alone * keen:
        return _correction(voice, at)
    return []


def _shown(rng: random.Random, chances: _Chances) -> list[Judgement]:
    """Show by behaviour how long the answer was read, and what became of it."""
    shown = []
    if rng.random() < chances.dwell:
        shown.append(("dwell", round(rng.lognormvariate(2.6, 0.7), 1)))
    if rng.random() < chances.copy:
        shown.append(("copy", round(rng.uniform(0.2, 1.0), 2)))
    elif rng.random() < chances.accept:
        shown.append(("accept", 1.0))
    elif rng.random() < chances.edit:
        shown.append(("edit_distance", round(rng.betavariate(2, 4), 2)))
    return [Judgement(kind="implicit", name=name, score=score) for name, score in shown]


def _comment(voice: Voice, at: Situation) -> Judgement:
    return Judgement(kind="comment", text=voice.comment(at.person, at.question, at.verdict))


def _correction(voice: Voice, at: Situation) -> list[Judgement]:
    text = voice.correction(at.person, at.question)
    return [Judgement(kind="correction", text=text)] if text else []


def _highlight(rng: random.Random, voice: Voice, at: Situation) -> Judgement | None:
    """Mark the passage that bothers; sometimes put it right, sometimes only comment on it."""
    if at.verdict.passage not in at.answer or not at.verdict.passage:
        return None
    labels = _ticks(rng, at.verdict) if rng.random() < 0.4 else ()
    return Judgement(
        kind="annotation",
        passage=at.verdict.passage,
        replacement=_replacement(at) if rng.random() < 0.5 else "",
        text=voice.note(at.person, at.question, at.verdict),
        labels=labels,
    )


def _replacement(at: Situation) -> str:
    """Return what stands for a wrong figure, when there is one and the person knows better."""
    facts = at.question.knows(at.person.locale)
    return facts[0] if "wrong" in at.verdict.problems and facts else ""


def _ticks(rng: random.Random, verdict: Verdict) -> tuple[str, ...]:
    problems = verdict.problems or ("served",)
    return tuple(sorted({pick(rng, behaviour().ticks[problem]) for problem in problems}))


def _submission(rng: random.Random, judgements: list[Judgement]) -> Submission:
    delay = dt.timedelta(seconds=rng.lognormvariate(3.0, 0.8))
    return Submission(delay=delay, judgements=tuple(judgements))


def _slips(rng: random.Random, given: list[list[Judgement]]) -> list[Submission]:
    """Turn a thumb that was hit by mistake, or take it back altogether."""
    thumbs = [each for group in given for each in group if each.kind == "rating"]
    slips = behaviour().slips
    late = dt.timedelta(minutes=rng.uniform(1, 5))
    if thumbs and rng.random() < slips.withdraw:
        taken_back = Judgement(kind="rating", is_withdrawn=True)
        return [Submission(delay=late, judgements=(taken_back,))]
    if thumbs and rng.random() < slips.wrong_thumb:
        flipped = Judgement(kind="rating", score=1 - (thumbs[0].score or 0.0))
        return [Submission(delay=dt.timedelta(seconds=0.5), judgements=(flipped,))]
    return []
