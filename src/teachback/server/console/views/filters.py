"""The filters of the feedback list: read from the address, shown as tabs, fields and chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, get_args
from urllib.parse import urlencode

from teachback.model.feedback import Kind, Source
from teachback.model.project import Reason
from teachback.model.trace import Environment
from teachback.server.console.views.judgements import SOURCE_TITLES
from teachback.store.feedback import Filters

PATH = "/feedback"

T = TypeVar("T", bound=str)

PERIODS = {
    "1d": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
TAB_TITLES: dict[Kind, str] = {
    "rating": "Ratings",
    "reasons": "Reasons",
    "comment": "Comments",
    "correction": "Corrections",
    "annotation": "Annotations",
    "implicit": "Behaviour",
}
#: Names that may stand in the address, in the order in which they are written.
NAMES = ("kind", "negative", "environment", "source", "label", "since", "author")


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A tab or a chip."""

    title: str
    href: str
    current: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One line of a field."""

    value: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A field to choose one of several from."""

    name: str
    title: str
    #: What stands there when nothing is chosen.
    any: str
    value: str
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterView:
    """Everything above the list."""

    kind: str
    negative: bool
    author: str
    tabs: tuple[Link, ...]
    choices: tuple[Choice, ...]
    chips: tuple[Link, ...]


def read_filters(address: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of an address that mean something; others are dropped without fuss."""
    known: dict[str, Sequence[str]] = {
        "kind": get_args(Kind),
        "negative": ("1",),
        "environment": get_args(Environment),
        "source": get_args(Source),
        "since": tuple(PERIODS),
    }
    values = {name: address.get(name, "").strip().replace("\0", "") for name in NAMES}
    return {
        name: value
        for name, value in values.items()
        if value and (name not in known or value in known[name])
    }


def to_store(values: Mapping[str, str], now: datetime) -> Filters:
    """Return the filters as the store takes them."""
    period = PERIODS.get(values.get("since", ""))
    return Filters(
        kind=_one_of(values.get("kind"), get_args(Kind)),
        negative=True if "negative" in values else None,
        environment=values.get("environment"),
        source=_one_of(values.get("source"), get_args(Source)),
        label=values.get("label"),
        author=values.get("author"),
        since=now - period[1] if period else None,
    )


def filter_view(values: Mapping[str, str], reasons: Mapping[str, Reason]) -> FilterView:
    """Lay out the filters in force and those that can be chosen."""
    choices = _choices(values, reasons)
    return FilterView(
        kind=values.get("kind", ""),
        negative="negative" in values,
        author=values.get("author", ""),
        tabs=_tabs(values),
        choices=choices,
        chips=tuple(_chips(values, choices)),
    )


def address(values: Mapping[str, str]) -> str:
    """Return the address of the list with these filters."""
    return f"{PATH}?{urlencode(values)}" if values else PATH


def _tabs(values: Mapping[str, str]) -> tuple[Link, ...]:
    rest = _without(values, "kind")
    kind = values.get("kind")
    every = Link(title="All", href=address(rest), current=kind is None)
    return every, *(
        Link(title=title, href=address({"kind": name, **rest}), current=name == kind)
        for name, title in TAB_TITLES.items()
    )


def _choices(values: Mapping[str, str], reasons: Mapping[str, Reason]) -> tuple[Choice, ...]:
    named: dict[str, tuple[str, str, dict[str, str]]] = {
        "environment": ("Environment", "Any environment", {n: n for n in get_args(Environment)}),
        "source": ("Source", "Any source", {n: SOURCE_TITLES[n] for n in get_args(Source)}),
        "label": ("Reason", "Any reason", {r.label: r.title for r in reasons.values()}),
        "since": ("Period", "Any time", {name: title for name, (title, _) in PERIODS.items()}),
    }
    return tuple(
        Choice(
            name=name, title=title, any=nothing, value=values.get(name, ""),
            options=tuple(Option(value=value, title=text) for value, text in options.items()),
        )
        for name, (title, nothing, options) in named.items()
    )  # fmt: skip


def _chips(values: Mapping[str, str], choices: Sequence[Choice]) -> list[Link]:
    """Name each filter in force, with the address of the list without it."""
    titles = {
        (choice.name, option.value): option.title for choice in choices for option in choice.options
    }
    return [
        Link(title=_chip_title(name, value, titles), href=address(_without(values, name)))
        for name, value in values.items()
        if name != "kind"
    ]


def _chip_title(name: str, value: str, titles: Mapping[tuple[str, str], str]) -> str:
    if name == "negative":
        return "Negative only"
    if name == "author":
        return f"Author {value}"
    return titles.get((name, value), value)


def _without(values: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if key != name}


def _one_of(value: str | None, known: tuple[T, ...]) -> T | None:
    return next((one for one in known if one == value), None)
