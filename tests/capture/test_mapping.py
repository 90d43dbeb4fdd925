"""A mapping makes records of rows, the same on every run, and says what it cannot map."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from teachback.capture.mapping import Coverage, Mapping, compile_mapping, load_mapping
from teachback.capture.rows import Row
from teachback.capture.templates import Scope, Template
from teachback.errors import Invalid


def _mapping(text: str) -> Mapping:
    return compile_mapping(tomllib.loads(text))


def _records(text: str, /, **row: Any) -> list[dict[str, Any]]:
    made = _mapping(text).records(Row(1, row), Coverage())
    return [dict(record.members) for record in made]


def test_a_path_alone_keeps_its_type_and_a_text_takes_it_in() -> None:
    """Paths lead through objects and lists; braces are doubled."""
    scope = Scope({"a": {"b": [1, {"c": True}]}, "x.y": "dotted"})
    assert Template.of("{a.b}").value(scope) == [1, {"c": True}]
    assert Template.of("{a.b.-1.c}").value(scope) is True
    assert Template.of("{{{a.b.0}}} {x.y}").value(scope) == "{1} dotted"
    assert Template.of("{a.z.0}").value(scope) is None
    with pytest.raises(Invalid, match="no value there"):
        Template.of("q {a.z}").value(scope)


@pytest.mark.parametrize("text", ["{a", "a}", "{}", "{a{b}}"])
def test_a_stray_brace_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Invalid, match="brace"):
        Template.of(text)


def test_templates_run_no_code() -> None:
    """Attributes, formats and conversions of Python are names of fields that are not there."""
    scope = Scope({"a": "x"})
    for text in ("{a.__class__}", "{a!r}", "{a:>1000000000}", "{a[0]}"):
        assert Template.of(text).value(scope) is None


def test_values_are_mapped_converted_and_dated() -> None:
    """Each word beside `from` does one thing."""
    (record,) = _records(
        """
        [[trace]]
        id = "t"
        query = "{q}"
        tags = { from = "{tags}", split = "," }
        turn = { from = "{n}", as = "integer" }
        started_at = { from = "{at}", time = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }
        environment = { from = "{live}", values = { yes = "prod" }, default = "test" }
        role = "{nothing}"
        """,
        q="?", tags="a, b,", n="3", at="01.03.2026 09:00", live="no", nothing=None,
    )  # fmt: skip
    assert record == {
        "id": "t", "query": "?", "tags": ["a", "b"], "turn": 3, "environment": "test",
        "started_at": "2026-03-01T09:00:00+01:00",
    }  # fmt: skip


def test_lists_are_walked_side_by_side() -> None:
    """Each place makes a record; conditions leave some out; ids stay the same on every run."""
    text = """
        [[feedback]]
        each = { word = "{ratings}", said = "{comments}" }
        when = "{said}"
        trace_id = "t-{@number}"
        kind = "comment"
        comment = "{said} ({word})"
        """
    row = {"ratings": ["bad", "good", "fair"], "comments": ["no", "", "so"]}
    made = _records(text, **row)
    assert made == _records(text, **row)
    assert [one["comment"] for one in made] == ["no (bad)", "so (fair)"]
    assert len({one["id"] for one in made}) == 2
    with pytest.raises(Invalid, match="equally long"):
        _records(text, ratings=["bad"], comments=["no", "so"])


def test_a_conversation_is_split_into_turns() -> None:
    """Joined again, the turns are the text; one that begins otherwise is refused."""
    text = """
        [turns.talk]
        from = "{text}"
        user = "U: "
        assistant = "A: "
        [[trace]]
        each = { said = "{talk}" }
        query = "{said.query}"
        output = "{said.output}"
        """
    made = _records(text, text="U: one A: two U: three")
    assert [(one["query"], one.get("output")) for one in made] == [
        ("one ", "two "), ("three", None),
    ]  # fmt: skip
    with pytest.raises(Invalid, match="begins with"):
        _records(text, text="A: two")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "makes no records"),
        ("other = 1\n[[trace]]\nquery = 'q'", "other"),
        ("[[trace]]\nqwery = 'q'", "qwery"),
        ("[trace]\nquery = 'q'", "list of tables"),
        ("[[trace]]\nquery = { from = '{a}', via = 1 }", "via"),
        ("[[trace]]\nquery = { from = '{a}', as = 'date' }", "type"),
        ("[[trace]]\nstarted_at = { from = '{a}', time = 'iso', zone = 'Mars/Base' }", "zone"),
        ("key = 'a'\n[[trace]]\nquery = 'q'", "key"),
        ("[turns.x]\nfrom = '{a}'\n[[trace]]\nquery = 'q'", "three texts"),
    ],
)
def test_a_wrong_mapping_is_refused_before_the_first_row(text: str, told: str) -> None:
    """Misspelt names and shapes do not wait for data."""
    with pytest.raises(Invalid, match=told):
        _mapping(text)


def test_columns_are_told_that_nothing_reads_and_that_nobody_has() -> None:
    """A misspelt path does not lose a column in silence."""
    mapping = _mapping("[[trace]]\nquery = '{q}'\nrole = '{roel}'\nmetadata = { a = '{m.a}' }")
    coverage = Coverage()
    list(mapping.records(Row(1, {"q": "?", "role": "x", "m": {}}), coverage))
    assert mapping.unused(coverage) == ["role"]
    assert mapping.missing(coverage) == ["roel"]


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    """The mistake is told with its place."""
    path = tmp_path / "m.toml"
    path.write_text("[[trace\n")
    with pytest.raises(Invalid, match="line 1"):
        load_mapping(path)
