"""A query: what a list is narrowed to, and the words it is searched for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Comparison = Literal["is", "<", "<=", ">", ">="]


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One condition: a field, how it is compared, and the values of which one must hold."""

    field: str
    #: The name inside the free metadata when the field is `meta`; else empty.
    key: str = ""
    comparison: Comparison = "is"
    #: As written, checked to be of the field's type; several mean any of them.
    values: tuple[str, ...]
    #: Must not hold.
    negated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Words and conditions; all conditions must hold."""

    #: Words and phrases, in the order in which they were typed.
    words: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
