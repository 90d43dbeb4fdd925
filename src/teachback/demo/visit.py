"""One visit to the help page: somebody asks, reads, and does something about it or leaves."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from teachback.demo.assistant import Assistant
from teachback.demo.behaviour import (
    Judgement,
    Move,
    Situation,
    Submission,
    next_move,
    rate_visit,
    react,
)
from teachback.demo.people import Person
from teachback.demo.questions import Question, Truths
from teachback.demo.reply import Message, Reply
from teachback.demo.verdict import Verdict, judge
from teachback.demo.voice import Voice

#: Moves that say something about the answer they follow.
_TELLING: tuple[Move, ...] = ("regenerate", "rephrase", "abandon")


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One question and its answer."""

    session_id: str
    place: int
    person: Person
    question: Question
    query: str
    reply: Reply
    at: dt.datetime
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Feedback on a turn; on the whole visit when there is no turn."""

    session_id: str
    person: Person
    turn: Turn | None
    judgements: tuple[Judgement, ...]
    at: dt.datetime


Event = Turn | Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """What visits happen at: the assistant of the day, and what is true that day."""

    assistant: Assistant
    truths: Truths
    voice: Voice
    rng: random.Random


@dataclass(kw_only=True, slots=True)
class Visit:
    """A visit as it goes; `events` plays it."""

    desk: Desk
    person: Person
    questions: Sequence[Question]
    session_id: str
    #: The visit's clock.
    at: dt.datetime
    history: list[Message] = field(default_factory=list)
    place: int = 0
    served: int = 0

    @property
    def release(self) -> str:
        """Version of the application that is visited."""
        return self.desk.assistant.library.release

    def events(self) -> Iterator[Event]:
        """Yield turns and feedback in the order in which they happen."""
        asked = 0
        for question in self.questions:
            asked += 1
            move = yield from self._pursue(question)
            if move == "abandon":
                break
        stars = rate_visit(self.desk.rng, self.person, served=self.served, asked=asked)
        if stars:
            yield self._given(None, Submission(delay=dt.timedelta(), judgements=(stars,)))

    def _pursue(self, question: Question) -> Generator[Event, None, Move]:
        """Ask until it is answered, or patience ends; returns the last move."""
        query, misses = "", 0
        move: Move = "rephrase"
        while move in ("rephrase", "regenerate"):
            if move == "rephrase":
                place = self.place + 1
                query = self.desk.voice.ask(self.person, question, place=place, again=query)
            turn = self._ask(question, query)
            yield turn
            self.served += turn.verdict.is_served
            misses += not turn.verdict.is_served
            move = yield from self._react(turn, misses)
        return move

    def _ask(self, question: Question, query: str) -> Turn:
        self.place += 1
        reply = self.desk.assistant.answer(query, self.history)
        verdict = judge(question, reply.text, self.desk.truths, locale=self.person.locale)
        turn = Turn(
            session_id=self.session_id,
            place=self.place,
            person=self.person,
            question=question,
            query=query,
            reply=reply,
            at=self.at,
            verdict=verdict,
        )
        self.history += [
            Message(role="user", text=query),
            Message(role="assistant", text=reply.text),
        ]
        self.at += dt.timedelta(seconds=self.desk.rng.lognormvariate(3.6, 0.6))
        return turn

    def _react(self, turn: Turn, misses: int) -> Generator[Event, None, Move]:
        """Yield feedback on a turn; returns the move."""
        situation = Situation(
            person=self.person,
            question=turn.question,
            verdict=turn.verdict,
            answer=turn.reply.text,
        )
        for submission in react(self.desk.rng, self.desk.voice, situation):
            yield self._given(turn, submission)
        move = next_move(self.desk.rng, situation, misses=misses)
        if move in _TELLING:
            shown = Judgement(kind="implicit", name=move, score=1.0)
            yield self._given(turn, Submission(delay=dt.timedelta(), judgements=(shown,)))
        return move

    def _given(self, turn: Turn | None, submission: Submission) -> Given:
        return Given(
            session_id=self.session_id,
            person=self.person,
            turn=turn,
            judgements=submission.judgements,
            at=(turn.at if turn else self.at) + submission.delay,
        )
