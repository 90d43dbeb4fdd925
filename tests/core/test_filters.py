"""A query says exactly what was typed, or says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachback.core.filters import FIELDS, moment, parse, seconds, write, yes
from teachback.errors import Invalid
from teachback.model.query import Query, Term


def test_conditions_and_words_are_told_apart() -> None:
    """Fields, several values, negation, comparison, quotes and metadata in one line."""
    query = parse(
        'kind:comment -surface:web reason:outdated,wrong latency:>2000 meta.plan:"big corp" '
        'env:prod invoice "not found"'
    )
    assert query == Query(
        words=("invoice", "not found"),
        terms=(
            Term(field="kind", values=("comment",)),
            Term(field="surface", values=("web",), negated=True),
            Term(field="reason", values=("outdated", "wrong")),
            Term(field="latency", comparison=">", values=("2000",)),
            Term(field="meta", key="plan", values=("big corp",)),
            Term(field="environment", values=("prod",)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("kindd:comment", "Did you mean kind?"),
        ("kind:coment", "Did you mean comment?"),
        ("latency:>fast", "latency is a number"),
        ("latency:nan", "latency is a number"),
        ("since:tomorrow", "since is a time"),
        ("since:9999999999999d", "since is a time"),
        ("negative:maybe", "negative is yes or no"),
        ("role:>admin", "role is not compared by size"),
        ("latency:>1,2", "takes one value"),
        ('role:"admin', "not closed"),
        ('role:"a"b', "half quoted"),
        ('"a"b', "closing quote"),
        ("role:", "1 to 30 values"),
        ("role:a,", "1 to 30 values"),
        ("meta:x", "there is no field"),
        ("https://example.test", "put them in quotes"),
        ("role:a\0b", "U+0000"),
        ("x" * 2001, "at most 2000 characters"),
        ("kind:rating " * 31, "at most 30 conditions"),
    ],
)
def test_mistake_is_named_with_its_fix(text: str, part: str) -> None:
    """The message names the value, the rule and what to write instead."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert part in caught.value.message


def test_place_of_a_mistake_is_told() -> None:
    """Position counts code points from 1."""
    with pytest.raises(Invalid) as caught:
        parse("😀 word kindd:x")
    assert "character 8" in caught.value.message


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
_VALUES = {
    "text": _TEXT,
    "number": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "duration": st.integers(0, 9999).map(lambda n: f"{n}m"),
    "time": st.datetimes().map(datetime.isoformat),
    "yes": st.sampled_from(["yes", "no"]),
}


@st.composite
def _terms(draw: st.DrawFn) -> Term:
    field = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
    values = st.sampled_from(field.choices) if field.type == "choice" else _VALUES[field.type]
    several = field.type in ("text", "choice")
    key = draw(st.from_regex(r"[a-z][a-z_.]{0,9}", fullmatch=True)) if field.name == "meta" else ""
    return Term(
        field=field.name,
        key=key,
        values=tuple(draw(st.lists(values, min_size=1, max_size=3 if several else 1))),
        comparison=draw(st.sampled_from(["is", "<=", ">"])) if field.type == "number" else "is",
        negated=draw(st.booleans()),
    )


@given(st.lists(_terms(), max_size=5), st.lists(_TEXT, max_size=3))
def test_query_reads_back_as_written(terms: list[Term], words: list[str]) -> None:
    """Whatever the values hold, a shared address leads to the same list."""
    query = Query(words=tuple(words), terms=tuple(terms))
    assert parse(write(query)) == query


@given(st.text(max_size=200))
def test_anything_typed_is_read_or_refused(text: str) -> None:
    """No other error than Invalid, and what was read can be written."""
    try:
        query = parse(text)
    except Invalid:
        return
    assert parse(write(query)) == query


def test_times_and_durations() -> None:
    """Spans reach back from now; dates are UTC."""
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert moment("7d", now) == now - timedelta(days=7)
    assert moment("2026-03-01", now) == datetime(2026, 3, 1, tzinfo=UTC)
    assert moment("2026-03-01T12:00+02:00", now) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (seconds("5m"), seconds("90"), seconds("1.5h")) == (300, 90, 5400)
    assert yes("true")
    assert not yes("no")
