"""What people say, composed from parts so that hardly two of them say the same."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Mapping
from functools import cache

from teachback.demo.library import read_text
from teachback.demo.people import Person
from teachback.demo.questions import Question
from teachback.demo.verdict import Verdict

#: Part of speech → manner or occasion → phrases.
Phrases = Mapping[str, Mapping[str, list[str]]]

#: Tries to say something that nobody has said yet.
TRIES = 6

_NEIGHBOURS = {"a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "a", "t": "r"}


class Voice:
    """Speaks for people; remembers what was said, so as not to repeat it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._said: set[str] = set()

    def ask(self, person: Person, question: Question, *, place: int, again: str = "") -> str:
        """Return a question; `place` is its place in the visit, `again` the wording to avoid."""
        return self._fresh(lambda effort: self._asked(person, question, place, again, effort))

    def comment(self, person: Person, question: Question, verdict: Verdict) -> str:
        """Return what somebody writes about an answer."""
        return self._fresh(lambda effort: self._commented(person, question, verdict, effort))

    def correction(self, person: Person, question: Question) -> str:
        """Return what the answer should have said; empty when the person cannot tell."""
        if not question.says(person.locale):
            return ""
        line = self._rng.choice(_phrases(person.locale)["correction"]["any"])
        return _sentence(_filled(line, self._about(person, question, Verdict())))

    def note(self, person: Person, question: Question, verdict: Verdict) -> str:
        """Return the few words beside a highlighted passage."""
        notes = _phrases(person.locale)["note"]
        lines = notes.get(next(iter(verdict.problems), "vague"), notes["vague"])
        line = self._rng.choice([each for each in lines if _can_say(each, person, question)])
        return _sentence(_filled(line, self._about(person, question, verdict)))

    def _fresh(self, compose: Callable[[int], str]) -> str:
        """Compose until nobody has said it yet, with more words at each try."""
        text = ""
        for effort in range(TRIES):
            text = compose(effort)
            if text not in self._said:
                break
        self._said.add(text)
        return text

    def _asked(
        self, person: Person, question: Question, place: int, again: str, effort: int
    ) -> str:
        phrases = _phrases(person.locale)
        wordings = [each for each in question.asks(person.locale) if not _is_in(each, again)]
        ask = self._rng.choice(wordings or question.asks(person.locale))
        if again:
            ask = self._lead(phrases["rephrase"][person.temperament], ask, question)
        elif place > 1 and self._rng.random() < 0.5:
            ask = self._lead(phrases["follow"]["any"], ask, question)
        else:
            ask = self._dressed(person, ask, effort)
        return self._typed(person, ask)

    def _lead(self, leads: list[str], ask: str, question: Question) -> str:
        lead = self._rng.choice(leads)
        return lead.replace("{topic}", question.topic).replace("{ask}", ask)

    def _dressed(self, person: Person, ask: str, effort: int) -> str:
        """Put a greeting, a story and a farewell around a question, as the person likes."""
        phrases, talk = _phrases(person.locale), person.verbosity + 0.25 * effort
        parts = [ask]
        if self._rng.random() < 0.2 + 0.5 * talk:
            parts.insert(0, self._rng.choice(phrases["opening"][person.temperament]))
        if self._rng.random() < 0.7 * talk:
            parts.insert(-1, self._rng.choice(phrases["background"]["any"]))
        if self._rng.random() < 0.1 + 0.4 * talk:
            parts.append(self._rng.choice(phrases["closing"][person.temperament]))
        return " ".join(parts).replace("{trade}", person.trade)

    def _commented(self, person: Person, question: Question, verdict: Verdict, effort: int) -> str:
        phrases = _phrases(person.locale)
        occasion = self._rng.choice(verdict.problems) if verdict.problems else "praise"
        lines = [line for line in phrases["comment"][occasion] if _can_say(line, person, question)]
        parts = [self._rng.choice(lines)]
        if verdict.problems and self._rng.random() < 0.3 + 0.2 * effort:
            parts.append(self._rng.choice(phrases["tail"][person.temperament]))
        text = _filled(" ".join(parts).strip(), self._about(person, question, verdict))
        return self._typed(person, _sentence(text))

    def _about(self, person: Person, question: Question, verdict: Verdict) -> dict[str, str]:
        says = question.says(person.locale)
        say = self._rng.choice(says) if says else ""
        return {
            "topic": question.topic,
            "say": say,
            "Say": say[:1].upper() + say[1:],
            "claimed": f"“{verdict.passage}”" if verdict.passage else "that",
            "steps": str(verdict.steps),
        }

    def _typed(self, person: Person, text: str) -> str:
        """Type as the person does: in a hurry, or with a slip."""
        if person.is_careless:
            text = text.lower().rstrip(".!?")
        if self._rng.random() < person.typos:
            text = _slip(self._rng, text)
        return text


def _slip(rng: random.Random, text: str) -> str:
    """Return the text with one letter swapped, lost, doubled or hit beside."""
    places = [at for at in range(1, len(text) - 1) if text[at - 1 : at + 2].isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    near = _NEIGHBOURS.get(text[at], text[at])
    slips = (
        text[at + 1] + text[at],
        text[at + 1],
        text[at] * 2 + text[at + 1],
        near + text[at + 1],
    )
    return text[:at] + rng.choice(slips) + text[at + 2 :]


def _filled(line: str, about: Mapping[str, str]) -> str:
    for name, value in about.items():
        line = line.replace("{" + name + "}", value)
    return line


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_in(wording: str, said: str) -> bool:
    """Whether a wording was said before, whatever its dress."""
    return wording.casefold().rstrip("?") in said.casefold()


def _can_say(line: str, person: Person, question: Question) -> bool:
    return "{say}" not in line or bool(question.says(person.locale))


@cache
def _phrases(locale: str) -> Phrases:
    phrases: Phrases = tomllib.loads(read_text(f"voice/{locale}.toml"))
    return phrases
