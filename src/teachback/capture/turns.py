"""Split a conversation that was written as one text into its turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from teachback.capture.templates import Scope, Template
from teachback.errors import Invalid
from teachback.model.trace import Json

_NAMES = {"from", "user", "assistant"}


@dataclass(frozen=True, slots=True)
class Splitter:
    """Knows the words that open what the end user and what the assistant said."""

    source: Template
    user: str
    assistant: str

    @classmethod
    def of(cls, name: str, given: Any) -> Splitter:
        """Read a splitter of a mapping; raises Invalid."""
        if not isinstance(given, dict) or set(given) != _NAMES or not all(
            isinstance(one, str) and one for one in given.values()
        ):  # fmt: skip
            raise Invalid(
                f"turns.{name}", rule="it has three texts: from, user and assistant",
                fix="Write the path of the text, and what opens each side's words in it",
            )  # fmt: skip
        return cls(Template.of(given["from"]), given["user"], given["assistant"])

    @property
    def paths(self) -> tuple[str, ...]:
        return self.source.paths

    def split(self, scope: Scope) -> Json:
        """Return the turns, each with a query and, where it was answered, an output.

        Joined again with the opening words, they are the text; raises Invalid where it begins
        with something else.
        """
        text = self.source.value(scope)
        if text is None:
            return []
        if not isinstance(text, str) or not text.startswith(self.user):
            raise Invalid(
                "turns", rule="a conversation begins with the words that open the user's side",
                fix="Correct `user` in the mapping, or the row",
            )  # fmt: skip
        turns: list[Json] = []
        begin = len(self.user)
        while begin <= len(text):
            answer = text.find(self.assistant, begin)
            if answer < 0:
                turns.append({"query": text[begin:]})
                break
            said = answer + len(self.assistant)
            end = text.find(self.user, said)
            end = len(text) if end < 0 else end
            turns.append({"query": text[begin:answer], "output": text[said:end]})
            begin = end + len(self.user)
        return turns
