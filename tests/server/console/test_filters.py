"""Whatever surrounds a list is an address that narrows it or widens it again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from teachback.core.filters import parse
from teachback.model.query import Query
from teachback.server.console.views.cases import cases, narrowed, value_of
from teachback.server.console.views.filterbox import field_help, read_box
from teachback.server.console.views.filters import FilterView, filter_view
from teachback.server.console.views.highlight import highlight
from teachback.store.facets import COUNTED, Facets

FOUND = Facets(total=12, values={"role": [("admin", 1_200), ("", 3), ("guest", 2)], "tag": []})


def view(text: str) -> FilterView:
    return filter_view("/feedback", parse(text), FOUND, {"outdated": "Out of date"}, sort="oldest")


def query_of(href: str) -> str:
    return parse_qs(urlsplit(href).query).get("q", [""])[0]


def test_tab_replaces_the_kind_and_keeps_the_rest() -> None:
    """The other conditions and the order stay; All takes the kind out."""
    tabs = view("kind:comment role:admin invoice").tabs
    assert [tab.title for tab in tabs if tab.current] == ["Comments"]
    assert query_of(tabs[1].href) == "role:admin kind:rating invoice"
    assert query_of(tabs[0].href) == "role:admin invoice"
    assert all("sort=oldest" in tab.href for tab in tabs)


def test_facet_narrows_and_widens() -> None:
    """A value in force is marked and leads back; values without a name and empty facets are not."""
    facets = {facet.title: facet.values for facet in view("role:admin").facets}
    assert list(facets) == ["Show", "Role"]
    admin, guest = facets["Role"]
    assert (admin.current, query_of(admin.href)) == (True, "")
    assert (admin.count, guest.count, query_of(guest.href)) == ("1,200", "2", "role:guest")


def test_counts_say_where_they_stop() -> None:
    """What is not counted to the end is not shown as if it were."""
    assert view("").counted == "12 in all"
    many = Facets(total=COUNTED + 1, values={})
    assert filter_view("/feedback", Query(), many, {}).counted.startswith(f"More than {COUNTED:,};")
    assert filter_view("/feedback", Query(), None, {}).counted.startswith("Too many")


def test_facet_keeps_the_value_in_force_when_nothing_has_it() -> None:
    """It can be taken out again."""
    role = next(facet for facet in view("role:nobody").facets if facet.title == "Role")
    assert [value.title for value in role.values if value.current] == ["nobody"]


def test_chips_name_every_condition_and_word() -> None:
    """Each leads to the list without it."""
    chips = view('negative:yes since:7d reason:outdated -locale:de latency:>9 "no invoice"').chips
    assert [chip.title for chip in chips] == [
        "Negative only", "Last 7 days", "Reason: Out of date", "-locale:de", "latency:>9",
        "“no invoice”",
    ]  # fmt: skip
    assert "locale" not in query_of(chips[3].href)
    assert query_of(chips[-1].href).endswith("latency:>9")


@pytest.mark.parametrize("value", ["a b", 'a"b', "a,b", "<b>", "-x", "ä:ö", "\\"])
def test_address_of_cases_reads_back(value: str) -> None:
    """Whatever a role is called, the link finds it."""
    query = parse(query_of(cases("/feedback", ("role", value))))
    assert value_of(query, "role") == value
    assert value_of(narrowed(Query(), "role", value), "role") == value


def test_box_shows_where_it_cannot_be_read() -> None:
    """The rule, the fix and the place."""
    box, query = read_box('role:admin rle:"x y" word')
    assert query is None
    assert box.error == (
        "Character 12: there is no field 'rle'. Did you mean role? To search for the words, "
        "put them in quotes."
    )
    assert (box.before, box.at) == ("role:admin ", 'rle:"x')


def test_box_shows_no_place_when_there_is_none() -> None:
    """A filter that is too long is wrong everywhere."""
    box, query = read_box("x" * 3_000)
    assert (query, box.position) == (None, None)
    assert box.error == "A query has at most 2000 characters. Shorten it."


def test_examples_of_the_help_can_be_typed() -> None:
    """Every line of the help is itself a filter."""
    for field in field_help():
        assert parse(field.example).terms, field.example


@pytest.mark.parametrize(
    ("text", "stems", "shown"),
    [
        ("My Invoices are gone", ("invoic",), 'My <mark class="found">Invoices</mark> are gone'),
        ("<b>invoice</b>", ("invoic",), '&lt;b&gt;<mark class="found">invoice</mark>&lt;/b&gt;'),
        ("reinvoice", ("invoic",), "reinvoice"),
        ("nothing", (), "nothing"),
    ],
)
def test_words_are_marked_where_they_begin(text: str, stems: tuple[str, ...], shown: str) -> None:
    """In any case, as text only."""
    assert str(highlight(text, stems, 100)) == shown


def test_excerpt_moves_to_the_first_word_found() -> None:
    """What was searched for is never cut off."""
    line = str(highlight("word " * 100 + "needle in hay", ("needle",), 80))
    assert line.startswith("…")
    assert 'class="found">needle' in line
