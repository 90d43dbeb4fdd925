"""What end users come to ask, and what they know about it: their side, never the assistant's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from teachback.demo.library import Action, Document, Values, list_data, read_toml


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One need: how people ask for it, and how they can tell whether they got it.

    `document` and `facts`: something to know. `action`: something to do. Neither: nothing the
    product offers, so that saying so is the right answer.
    """

    id: str
    #: How often it comes up, beside others.
    weight: float = 1.0
    #: The subject as a noun phrase.
    topic: str
    ask: tuple[str, ...]
    #: The truth in the words of a user.
    say: tuple[str, ...] = ()
    document: str = ""
    #: What a good answer contains.
    facts: tuple[str, ...] = ()
    action: str = ""
    document_de: str = ""
    facts_de: tuple[str, ...] = ()
    ask_de: tuple[str, ...] = ()
    say_de: tuple[str, ...] = ()

    def speaks(self, locale: str) -> bool:
        """Whether people ask this in a language."""
        return locale == "en" or bool(self.ask_de)

    def asks(self, locale: str) -> tuple[str, ...]:
        return self.ask_de if locale == "de" else self.ask

    def says(self, locale: str) -> tuple[str, ...]:
        return self.say_de if locale == "de" else self.say

    def knows(self, locale: str) -> tuple[str, ...]:
        return self.facts_de if locale == "de" else self.facts


@dataclass(frozen=True, kw_only=True, slots=True)
class Truths:
    """What an end user finds on looking for themselves."""

    #: The pages as they should be.
    documents: Mapping[str, Document]
    #: The product as it is.
    actions: Mapping[str, Action]

    def text(self, question: Question, locale: str) -> str:
        """Return all that is true about a question's subject; empty when there is nothing."""
        if question.action:
            return "\n".join(self.actions[question.action].steps)
        name = question.document_de if locale == "de" else question.document
        return self.documents[name].content if name else ""


def load_questions(values: Values) -> tuple[Question, ...]:
    """Return every question, with a world's values filled in."""
    tables = [read_toml(path, values)["questions"] for path in list_data("questions")]
    entries = [entry for table in tables for entry in table]
    return msgspec.convert(entries, tuple[Question, ...])
