"""Fields of a row by path, and texts with `{path}` in them: no code, no formats, no attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from teachback.errors import Invalid
from teachback.model.trace import Json

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


@dataclass(slots=True)
class Scope:
    """The values that paths lead to: those the mapping makes hide those of the row."""

    row: Mapping[str, Json]
    own: dict[str, Json] = field(default_factory=dict)

    def find(self, path: str) -> Json:
        """Return the value at a path, or None where there is none."""
        for names in (self.own, self.row):
            if path in names:
                return names[path]
        head, _, rest = path.partition(".")
        value: Json = self.own[head] if head in self.own else self.row.get(head)
        for step in rest.split(".") if rest else ():
            value = _step(value, step)
        return value

    def within(self, **own: Json) -> Scope:
        """Return a scope with further values of the mapping."""
        return Scope(self.row, self.own | own)


def _step(value: Json, step: str) -> Json:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and re.fullmatch(r"-?\d{1,9}", step):
        index = int(step)
        return value[index] if -len(value) <= index < len(value) else None
    return None


@dataclass(frozen=True, slots=True)
class Template:
    """A text of a mapping: one path alone keeps its value's type, anything else makes a text."""

    #: Literal texts at even places, paths at odd ones.
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Read a template; raises Invalid on a brace that is neither a path nor doubled."""
        parts, position = [""], 0
        for match in _PART.finditer(text):
            parts[-1] += text[position : match.start()]
            position = match.end()
            if match[1] is not None:
                parts += [match[1].strip(), ""]
            elif len(match[0]) == 2:
                parts[-1] += match[0][0]
            else:
                raise Invalid(
                    "mapping", value=text, rule="a brace opens or closes the path of a field",
                    fix="Write {path}, or {{ and }} for braces",
                )  # fmt: skip
        parts[-1] += text[position:]
        return cls(tuple(parts))

    @property
    def paths(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def value(self, scope: Scope) -> Json:
        """Return what the template makes of a row; raises Invalid where a text lacks a part."""
        if len(self.parts) == 3 and not self.parts[0] and not self.parts[2]:
            return scope.find(self.parts[1])
        return "".join(
            _text(part, scope.find(part)) if place % 2 else part
            for place, part in enumerate(self.parts)
        )


def _text(path: str, value: Json) -> str:
    if value is None:
        raise Invalid(
            path, rule="this row has no value there, and a text is made of it",
            fix="Correct the path, or leave such rows out with `when`",
        )  # fmt: skip
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
