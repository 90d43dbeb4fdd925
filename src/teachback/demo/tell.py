"""Telling Teachback what happened, through its SDK and nothing else."""

from __future__ import annotations

import datetime as dt

import teachback
from teachback.demo.behaviour import Judgement
from teachback.demo.people import Person
from teachback.demo.reply import Reply
from teachback.demo.visit import Event, Given, Turn

#: Characters of the answer kept on each side of a highlight, to find it again.
QUOTE_CONTEXT = 32


class Teller:
    """Sends turns as traces and what people say as feedback."""

    def __init__(self, client: teachback.Client) -> None:
        self._client = client
        #: Session and place in it → trace.
        self._traces: dict[tuple[str, int], str] = {}
        self.traces = 0
        self.feedback = 0

    def tell(self, event: Event, *, release: str, at: dt.datetime | None = None) -> None:
        """Send one event; `at` takes the place of its own time."""
        if isinstance(event, Turn):
            self._turn(event, release, at or event.at)
        else:
            self._given(event, at or event.at)

    def forget(self, session_id: str) -> None:
        """Drop what is remembered of a session that has ended."""
        self._traces = {key: each for key, each in self._traces.items() if key[0] != session_id}

    def _turn(self, turn: Turn, release: str, at: dt.datetime) -> None:
        trace = self._client.trace(turn.query, session_id=turn.session_id, turn=turn.place)
        trace.started_at, trace.release = at, release
        describe_person(trace, turn.person)
        describe_reply(trace, turn.reply)
        trace.end()
        self._traces[turn.session_id, turn.place] = trace.id
        self.traces += 1

    def _given(self, given: Given, at: dt.datetime) -> None:
        turn = given.turn
        group = self._client.feedback(
            self._traces[turn.session_id, turn.place] if turn else None,
            session_id=None if turn else given.session_id,
            author=given.person.id,
            occurred_at=at,
        )
        for judgement in given.judgements:
            give(group, judgement, answer=turn.reply.text if turn else "")
            self.feedback += 1


def describe_person(trace: teachback.Trace, person: Person) -> None:
    """Note who asked."""
    trace.user_id, trace.role = person.id, person.role
    trace.surface, trace.locale = person.surface, person.locale
    trace.metadata = {"simulated": True}


def describe_reply(trace: teachback.Trace, reply: Reply) -> None:
    """Note what was answered, and the whole context behind it."""
    for layer in reply.given:
        if layer.kind == "system_prompt":
            trace.system_prompt(layer.content, name=layer.name, version=layer.version)
        elif layer.kind == "document":
            trace.document(layer.content, name=layer.name, version=layer.version, score=layer.score)
        elif layer.kind == "tool":
            trace.tool(layer.content, name=layer.name, version=layer.version)
        else:
            trace.message(layer.content, role=layer.name)
    trace.output, trace.latency_ms = reply.text, round(reply.latency_ms, 2)
    trace.request_model = trace.response_model = reply.model
    trace.input_tokens, trace.output_tokens = reply.input_tokens, reply.output_tokens
    _steps(trace, reply)


def _steps(trace: teachback.Trace, reply: Reply) -> None:
    """Note what was done for the answer: a search, then the wording."""
    search = trace.span("search the help centre", kind="retrieval", input=trace.query)
    search.output = ", ".join(g.name for g in reply.given if g.kind in ("document", "tool"))
    search.latency_ms, search.started_at = round(reply.search_ms, 2), trace.started_at
    search.end()
    wording = trace.span("word the reply", kind="chat")
    wording.latency_ms = round(reply.latency_ms - reply.search_ms, 2)
    wording.started_at = trace.started_at + dt.timedelta(milliseconds=reply.search_ms)
    wording.error = reply.error
    wording.end()


def give(group: teachback.FeedbackGroup, said: Judgement, *, answer: str) -> None:
    """Send one judgement."""
    if said.is_withdrawn:
        group.withdraw("rating")
    elif said.kind == "rating":
        group.rating(said.score or 0.0, scale="stars" if said.is_stars else "thumbs")
    elif said.kind == "reasons":
        group.reasons(said.labels)
    elif said.kind == "comment":
        group.comment(said.text)
    elif said.kind == "correction":
        group.correct(said.text)
    elif said.kind == "annotation":
        _annotate(group, said, answer)
    else:
        group.implicit(said.name, said.score or 0.0)


def _annotate(group: teachback.FeedbackGroup, said: Judgement, answer: str) -> None:
    start = answer.index(said.passage)
    end = start + len(said.passage)
    group.annotate(
        said.passage,
        start=start,
        prefix=answer[max(0, start - QUOTE_CONTEXT) : start],
        suffix=answer[end : end + QUOTE_CONTEXT],
        comment=said.text or None,
        replacement=said.replacement or None,
        tags=said.labels,
    )
