"""The story page's steps: what the visitor has done so far, read from what Teachback knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from teachback.demo.api import Json
from teachback.demo.assistant import Assistant
from teachback.demo.questions import Question
from teachback.demo.verdict import Problem, Verdict, judge
from teachback.demo.world import World

State = Literal["done", "next", "open", "later"]

#: Suggestions shown; each has another thing wrong with it while there are enough.
SUGGESTIONS = 5

#: Problems by how easily a visitor sees them.
PLAINEST: tuple[Problem, ...] = ("wrong", "rude", "laborious", "refused", "off_topic", "vague")

#: The ways to give feedback, in the order in which the page offers them.
WAYS = {
    "rating": "Thumb",
    "reasons": "Reasons",
    "comment": "Words",
    "correction": "Better answer",
    "annotation": "Highlight",
    "implicit": "Copying",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A question whose answer will disappoint, and what the visitor may know about it."""

    ask: str
    know: str


def suggest(world: World, assistant: Assistant) -> list[Suggestion]:
    """Try out every question as an end user would, and return some that are not well served."""
    missed = [
        (question, verdict)
        for question in sorted(world.questions, key=lambda each: -each.weight)
        if not (verdict := _tried(world, assistant, question)).is_served
    ]
    seen: dict[tuple[Problem, str], Suggestion] = {}
    for question, verdict in missed:
        place = (verdict.problems[0], question.document or question.action)
        seen.setdefault(place, _suggestion(world, question, verdict))
    return _varied(seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The last traces whose trail, and whose similar cases, the visitor opened."""

    trail: str
    others: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Where the steps lead; empty while they lead nowhere."""

    trail: str
    others: str
    #: A lesson was asked for, and nothing could be drafted.
    drafted: bool = False


def steps(
    traces: Sequence[Json],
    feedback: Sequence[Json],
    *,
    seen: Seen,
    links: Links,
    others: Sequence[str] = (),
    lesson: Json | None = None,
) -> list[Json]:
    """Return the steps with their states.

    `others` are what people with the problem asked, `lesson` what was drafted from the visitor's
    words.
    """
    given = {str(each["kind"]) for each in feedback}
    complained = any(map(_is_complaint, feedback))
    asked = {trace["id"] for trace in traces}
    done = {
        "ask": bool(traces),
        "complain": complained,
        "trail": complained and seen.trail in asked,
        "others": complained and seen.others in asked,
        "approve": lesson is not None and lesson["state"] in IN_FORCE,
        "again": lesson is not None and bool(_asked_with(lesson, traces)),
    }
    extras: dict[str, Json] = {
        "complain": {"ways": [_way(kind, title, given) for kind, title in WAYS.items()]},
        "trail": {"href": links.trail},
        "others": {"href": links.others, "asked": list(others)},
        "approve": _lesson(lesson, links, complained=complained),
        "again": _again(lesson, traces),
    }
    states = _states(done)
    return [
        {"id": name, "state": states.get(name, "later"), **extras.get(name, {})}
        for name in (*done, *LATER)
    ]


#: Steps of the story that are not built yet.
LATER = ("proof",)
#: States in which a lesson reaches the assistant.
IN_FORCE = ("canary", "live")


def _is_complaint(said: Json) -> bool:
    """Whether somebody says that something is wrong; a good thumb does not."""
    return said["kind"] != "implicit" and (said["kind"] != "rating" or bool(said["negative"]))


def _lesson(lesson: Json | None, links: Links, *, complained: bool) -> Json:
    """Tell what can be done about the lesson: draft it, read and approve it, look at it."""
    if lesson is None:
        return {"can_draft": complained and bool(links.trail), "asked_to_draft": links.drafted}
    return {
        "draft": lesson.get("answer") or lesson["text"],
        "can_approve": lesson["state"] not in IN_FORCE,
        "href": f"/lessons/{lesson['id']}",
    }


def _again(lesson: Json | None, traces: Sequence[Json]) -> Json:
    """Tell what to ask again, and how the answer has changed."""
    if lesson is None or lesson["state"] not in IN_FORCE:
        return {}
    same = [trace for trace in traces if trace["query"] == lesson["situation"]]
    after = _asked_with(lesson, traces)
    told: Json = {"ask": lesson["situation"]}
    if same and after:
        told |= {"before": same[0].get("output", ""), "after": after[-1].get("output", "")}
    return told


def _asked_with(lesson: Json, traces: Sequence[Json]) -> list[Json]:
    """Return the traces whose answer was given with the lesson among its documents."""
    return [
        trace
        for trace in traces
        if any(item.get("name") == lesson["id"] for item in trace.get("context", ()))
    ]


def _states(done: Mapping[str, bool]) -> dict[str, State]:
    first = next((name for name, is_done in done.items() if not is_done), None)
    return {
        name: "done" if is_done else "next" if name == first else "open"
        for name, is_done in done.items()
    }


def _way(kind: str, title: str, given: set[str]) -> Json:
    return {"kind": kind, "title": title, "done": kind in given}


def _tried(world: World, assistant: Assistant, question: Question) -> Verdict:
    return judge(question, assistant.answer(question.ask[0]).text, world.truths())


def _suggestion(world: World, question: Question, verdict: Verdict) -> Suggestion:
    say = question.say[0] if question.say else f"Papertally has nothing to do with {question.topic}"
    told = f"{say[:1].upper()}{say[1:]}."
    if "laborious" in verdict.problems:
        minutes = round(world.truths().actions[question.action].seconds / 60)
        told = f"You did it all: {verdict.steps} steps, {minutes} minutes of waiting. {told}"
    elif "rude" in verdict.problems:
        told = f"A friendly answer would have been enough: “{told}”"
    return Suggestion(ask=question.ask[0], know=told)


def _varied(seen: Mapping[tuple[Problem, str], Suggestion]) -> list[Suggestion]:
    """Take one for each problem first, then fill up."""
    first: dict[Problem, Suggestion] = {}
    for (problem, _), suggestion in seen.items():
        first.setdefault(problem, suggestion)
    plainest = [first[problem] for problem in PLAINEST if problem in first]
    rest = [each for each in seen.values() if each not in plainest]
    return [*plainest, *rest][:SUGGESTIONS]
