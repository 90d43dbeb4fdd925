"""What surrounds a filtered list: tabs, facets with counts, chips for what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teachback.core.filters import write
from teachback.model.feedback import Kind
from teachback.model.query import Query, Term
from teachback.server.console.views import formats
from teachback.server.console.views.cases import (
    address,
    narrowed,
    value_of,
    without_field,
    without_term,
    without_word,
)
from teachback.server.console.views.judgements import SOURCE_TITLES
from teachback.store.facets import COUNTED, Facets

PERIODS = {
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
}
TAB_TITLES: dict[Kind, str] = {
    "rating": "Ratings",
    "reasons": "Reasons",
    "comment": "Comments",
    "correction": "Corrections",
    "annotation": "Annotations",
    "implicit": "Behaviour",
}
#: What can be chosen beside a list, in order: field → title.
FACETS = {
    "reason": "Reason",
    "source": "Source",
    "role": "Role",
    "surface": "Surface",
    "locale": "Language",
    "environment": "Environment",
    "model": "Model",
    "release": "Release",
    "tag": "Tag",
}
#: Values shown of one facet; the rest is found by typing.
MAX_VALUES = 6


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


def _sorts(value: str) -> Choice:
    options = (
        Option(value="newest", title="Newest first"),
        Option(value="oldest", title="Oldest first"),
    )
    return Choice(name="sort", title="Order", any="", value=value, options=options)


#: The field that orders a list, by the order in force.
SORTS = {"newest": _sorts("newest"), "oldest": _sorts("oldest")}


@dataclass(frozen=True, kw_only=True, slots=True)
class FacetValue:
    """One value of a facet: choosing it narrows the list, choosing it again widens it."""

    title: str
    href: str
    #: None where it is not counted.
    count: str | None
    current: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """What can be chosen of one field."""

    title: str
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterView:
    """Everything around the list."""

    tabs: tuple[Link, ...]
    facets: tuple[Facet, ...]
    chips: tuple[Link, ...]
    #: The list without any filter.
    all: str
    is_narrowed: bool
    #: What the counts are counts of, in words; empty where nothing is counted.
    counted: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """The list as it is: its page, its query, and other parameters that links keep."""

    page: str
    query: Query
    others: Mapping[str, str]

    def link(self, query: Query) -> str:
        """Return the address of this list with another query."""
        return address(self.page, query, **self.others)


def filter_view(
    page: str,
    query: Query,
    found: Facets | None,
    titles: Mapping[str, str],
    **others: str,
) -> FilterView:
    """Lay out the filters in force and those that can be chosen.

    `found` is what the list is made of, unless that is not known; `titles` name reasons.
    """
    counts = found.values if found else {}
    here = Here(page=page, query=query, others=others)
    facets = [_facet(here, field, counts[field], titles) for field in FACETS if counts.get(field)]
    return FilterView(
        tabs=_tabs(here),
        facets=(_flags(here), *(facet for facet in facets if facet.values)),
        chips=tuple(_chips(here, titles)),
        all=here.link(Query()),
        is_narrowed=query != Query(),
        counted=_counted(found),
    )


def _counted(found: Facets | None) -> str:
    """Say how many there are, and where counting stopped."""
    if found is None:
        return "Too many to count while you wait"
    if not found.total:
        return ""
    if found.total > COUNTED:
        return f"More than {formats.count(COUNTED)}; values are counted among the latest of them"
    return f"{formats.count(found.total)} in all"


def _tabs(here: Here) -> tuple[Link, ...]:
    kind = value_of(here.query, "kind")
    every = Link(title="All", href=here.link(without_field(here.query, "kind")), current=not kind)
    return every, *(
        Link(
            title=title,
            href=here.link(narrowed(here.query, "kind", name)),
            current=name == kind,
        )
        for name, title in TAB_TITLES.items()
    )


def _flags(here: Here) -> Facet:
    """Offer what is chosen most often, without counts."""
    offered = [("negative", "yes", "Negative only")]
    offered += [("since", name, title) for name, title in PERIODS.items()]
    values = (_value(here, field, value, title) for field, value, title in offered)
    return Facet(title="Show", values=tuple(values))


def _facet(
    here: Here, field: str, counts: Sequence[tuple[str, int]], titles: Mapping[str, str]
) -> Facet:
    chosen = value_of(here.query, field)
    listed = [pair for pair in counts if pair[0]][:MAX_VALUES]
    if chosen and chosen not in [value for value, _ in listed]:
        listed.append((chosen, 0))
    values = (
        _value(
            here,
            field,
            value,
            _title(field, value, titles),
            count=formats.count(number) if number else None,
        )
        for value, number in listed
    )
    return Facet(title=FACETS[field], values=tuple(values))


def _value(
    here: Here, field: str, value: str, title: str, *, count: str | None = None
) -> FacetValue:
    current = value_of(here.query, field) == value
    wanted = without_field(here.query, field) if current else narrowed(here.query, field, value)
    return FacetValue(title=title, href=here.link(wanted), count=count, current=current)


def _chips(here: Here, titles: Mapping[str, str]) -> list[Link]:
    """Name each condition in force, with the address of the list without it."""
    terms = [
        Link(title=_term_title(term, titles), href=here.link(without_term(here.query, term)))
        for term in here.query.terms
        if term.field != "kind" or term.negated or len(term.values) > 1
    ]
    words = [
        Link(title=f"“{word}”", href=here.link(without_word(here.query, word)))
        for word in here.query.words
    ]
    return terms + words


def _term_title(term: Term, titles: Mapping[str, str]) -> str:
    value = term.values[0]
    plain = not term.negated and term.comparison == "is" and len(term.values) == 1
    if plain and term.field == "negative" and value in ("yes", "true", "1"):
        return "Negative only"
    if plain and term.field == "since" and value in PERIODS:
        return PERIODS[value]
    if plain and term.field in FACETS:
        return f"{FACETS[term.field]}: {_title(term.field, value, titles)}"
    return write(Query(terms=(term,)))


def _title(field: str, value: str, titles: Mapping[str, str]) -> str:
    if field == "reason":
        return titles.get(value, value)
    if field == "source":
        return next((title for name, title in SOURCE_TITLES.items() if name == value), value)
    return value
