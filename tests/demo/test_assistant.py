"""The assistant is right without flaws, wrong with each of them, and knows of neither."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from teachback.demo.assistant import NO_MODEL, Assistant
from teachback.demo.chat_model import ChatModel
from teachback.demo.passages import ExtraText
from teachback.demo.questions import Question
from teachback.demo.reply import Message
from teachback.demo.verdict import Verdict, judge
from teachback.demo.world import Flaw, World, draw, list_flaws

WORLD = draw(7)
FLAWS = list_flaws(WORLD.values)


def with_flaws(*flaws: Flaw) -> World:
    return replace(WORLD, flaws=flaws)


def unserved(world: World, extra: tuple[ExtraText, ...] = ()) -> dict[Question, Verdict]:
    """Ask everything in every wording and language; return what did not serve."""
    assistant, truths = Assistant(world.library()), world.truths()
    verdicts = [
        (question, judge(question, assistant.answer(ask, (), extra).text, truths, locale=locale))
        for question in world.questions
        for locale in ("en", "de")
        for ask in question.asks(locale)
    ]
    return {question: verdict for question, verdict in verdicts if not verdict.is_served}


@pytest.mark.parametrize("seed", [1, 7, 30])
def test_every_question_is_answered_right_when_there_are_no_flaws(seed: int) -> None:
    """Whatever values the world has, all wordings of all questions are served."""
    assert unserved(replace(draw(seed), flaws=())) == {}


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.id)
def test_something_goes_wrong_when_a_flaw_is_drawn(flaw: Flaw) -> None:
    """Each flaw disappoints somebody, but only about its own subject."""
    assert 0 < len(unserved(with_flaws(flaw))) < len(WORLD.questions) / 4


@pytest.mark.parametrize("layer", ["knowledge", "model", "scope"])
def test_the_right_answer_comes_when_a_fact_is_given_along(layer: str) -> None:
    """A text given with the question is one more document, and newer than the rest."""
    for flaw in (flaw for flaw in FLAWS if flaw.layer == layer):
        world = with_flaws(flaw)
        for question in unserved(world):
            fact = question.say[0] if question.say else f"we do not offer {question.topic}"
            title = f"{question.topic}: {' '.join(question.ask)}"
            given = ExtraText(title=title, text=f"{fact[:1].upper()}{fact[1:]}.")
            asked = replace(world, questions=(question,))
            assert unserved(asked, (given,)) == {}, (flaw.id, question.id)


def test_the_right_answer_comes_when_a_template_is_given_along() -> None:
    """A text with a place for the answer is one more template."""
    template = ExtraText(title="", text="With pleasure! {answer}")
    for flaw in (flaw for flaw in FLAWS if flaw.layer == "prompt"):
        title = str(flaw.changes["templates"][0]["when"])
        assert unserved(with_flaws(flaw), (replace(template, title=title),)) == {}


def test_a_text_on_another_subject_changes_nothing_when_given_along() -> None:
    """What does not fit the question stays unused."""
    given = ExtraText(title="parking at our office", text="Visitors park in the yard.")
    assert unserved(with_flaws(), (given,)) == {}


def test_a_short_question_leans_on_the_one_before_it() -> None:
    """A question without a subject is read with the one before."""
    assistant = Assistant(with_flaws().library())
    history = [Message(role="user", text="How do I record a trip by car?")]
    assert "New trip" in assistant.answer("and where?", history).text


def test_the_reply_names_what_it_was_given() -> None:
    """The context holds the prompt, the pages found with their versions, and the history."""
    history = [Message(role="user", text="Hello"), Message(role="assistant", text="Hi")]
    reply = Assistant(with_flaws().library()).answer("What is your refund period?", history)
    assert reply.given[0].kind == "system_prompt"
    assert (reply.given[1].kind, reply.given[1].name) == ("document", "refunds")
    assert reply.given[1].version
    assert [layer.content for layer in reply.given if layer.kind == "message"] == ["Hello", "Hi"]


class _Model(BaseHTTPRequestHandler):
    """An endpoint that answers like OpenAI's, or fails when the question says so."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        messages = asked["messages"]
        fails = "fail" in messages[-1]["content"]
        knows = "refund within" in messages[0]["content"]
        choice = {"message": {"role": "assistant", "content": f"I read it: {knows}"}}
        answer = {"model": "tiny-1", "choices": [choice], "usage": {"prompt_tokens": 9}}
        silent = fails or "mumble" in messages[-1]["content"]
        body = json.dumps({"choices": []} if silent else answer).encode()
        self.send_response(500 if fails else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Stay quiet."""


@contextmanager
def running_model() -> Iterator[ChatModel]:
    server = HTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    model = ChatModel(f"http://127.0.0.1:{server.server_port}/v1", "", "tiny")
    try:
        yield model
    finally:
        model.close()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_model_words_the_answer_when_there_is_one() -> None:
    """The model gets the pages found, and its own name and counts are kept."""
    with running_model() as model:
        assistant = Assistant(with_flaws().library(), model=model)
        reply = assistant.answer("What is your refund period?")
    assert (reply.text, reply.model, reply.input_tokens) == ("I read it: True", "tiny-1", 9)
    assert reply.error is None


@pytest.mark.parametrize("failure", ["fail", "mumble"])
def test_templates_answer_when_the_model_fails(failure: str) -> None:
    """A model that is away is named as the reason, and the visitor still gets an answer."""
    with running_model() as model:
        assistant = Assistant(with_flaws().library(), model=model)
        reply = assistant.answer(f"What is your refund period? {failure}")
    assert reply.model == NO_MODEL
    assert "refund within" in reply.text
    assert "did not answer" in (reply.error or "")
