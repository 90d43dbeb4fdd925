"""The box in which people type a filter: what it holds, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from teachback.core.filters import FIELDS, MAX_LENGTH, Field, parse
from teachback.errors import Invalid
from teachback.model.query import Query
from teachback.server.console.views import formats

#: Characters shown before and after the place of an error.
AROUND = 60
#: How a condition looks, by the type of its field.
EXAMPLES = {
    "text": "{}:value", "yes": "{}:yes", "number": "{}:>0.5", "duration": "{}:>5m",
    "time": "{}:7d",
}  # fmt: skip
OWN_EXAMPLES = {
    "latency": "latency:>2000", "tokens": "tokens:>=1000", "turn": "turn:1",
    "session.turns": "session.turns:>3", "meta": "meta.plan:pro", "role": "role:admin",
    "prompt": "prompt:support@v3", "locale": "locale:de,en-GB", "reason": "reason:outdated",
    "surface": "-surface:web", "release": "release:2.*",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterBox:
    """What was typed, and where it cannot be read."""

    text: str
    error: str = ""
    #: Where the error is, counted from 0; None when it is nowhere in particular.
    position: int | None = None
    before: str = ""
    at: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldHelp:
    """One line of the help."""

    example: str
    title: str


def read_box(text: str) -> tuple[FilterBox, Query | None]:
    """Return the box, and its query unless it cannot be read."""
    text = " ".join(text[: MAX_LENGTH + 1].split())
    try:
        return FilterBox(text=text), parse(text)
    except Invalid as error:
        return _problem(text, error), None


def field_help(names: Sequence[str] = tuple(FIELDS)) -> tuple[FieldHelp, ...]:
    """Return the fields that a filter can name, each with an example."""
    fields = [FIELDS[name] for name in names]
    return tuple(FieldHelp(example=_example(field), title=_title(field)) for field in fields)


def _problem(text: str, error: Invalid) -> FilterBox:
    found = re.fullmatch(r"query, character (\d+)", error.field)
    said = formats.sentence(f"{error.rule}. {formats.sentence(error.fix)}")
    if found is None:
        return FilterBox(text=text, error=said)
    at = min(int(found[1]) - 1, len(text))
    end = at + len((text[at:].split(" ") or [""])[0])
    return FilterBox(
        text=text,
        error=f"Character {at + 1}: {said[:1].lower()}{said[1:]}",
        position=at,
        before=("…" if at > AROUND else "") + text[max(0, at - AROUND) : at],
        at=text[at:end],
        after=text[end : end + AROUND] + ("…" if end + AROUND < len(text) else ""),
    )


def _example(field: Field) -> str:
    if field.name in OWN_EXAMPLES:
        return OWN_EXAMPLES[field.name]
    if field.choices:
        return f"{field.name}:{field.choices[0]}"
    return EXAMPLES[field.type].format(field.name)


def _title(field: Field) -> str:
    title = f"{field.help[:1].upper()}{field.help[1:]}"
    return f"{title}: {', '.join(field.choices)}" if field.choices else title
