"""Addresses of the explorer: every number leads to the cases behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

from teachback.core.filters import write
from teachback.model.query import Query, Term


def cases(page: str, *terms: tuple[str, str]) -> str:
    """Return the address of a list narrowed to these fields."""
    wanted = tuple(Term(field=field, values=(value,)) for field, value in terms)
    return address(page, Query(terms=wanted))


def address(page: str, query: Query, **others: str) -> str:
    """Return the address of a list with a query, and other parameters that are not empty."""
    values = query_values(query, others)
    return f"{page}?{urlencode(values)}" if values else page


def query_values(query: Query, others: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of an address with a query."""
    values = {"q": write(query), **others}
    return {name: value for name, value in values.items() if value}


def narrowed(query: Query, field: str, value: str) -> Query:
    """Return a query with one condition on a field, in place of those that it had."""
    return replace(without_field(query, field), terms=(
        *without_field(query, field).terms, Term(field=field, values=(value,)),
    ))  # fmt: skip


def without_field(query: Query, field: str) -> Query:
    """Return a query without its conditions on a field."""
    return replace(query, terms=_all(term for term in query.terms if term.field != field))


def without_term(query: Query, unwanted: Term) -> Query:
    """Return a query without one condition."""
    return replace(query, terms=_all(term for term in query.terms if term != unwanted))


def without_word(query: Query, unwanted: str) -> Query:
    """Return a query without one word."""
    return replace(query, words=tuple(word for word in query.words if word != unwanted))


def value_of(query: Query, field: str) -> str:
    """Return the one value that a query narrows a field to, or nothing."""
    for term in query.terms:
        if term.field == field and not term.negated and term.comparison == "is":
            return term.values[0] if len(term.values) == 1 else ""
    return ""


def _all(terms: Iterable[Term]) -> tuple[Term, ...]:
    return tuple(terms)
