"""The address of the feedback list says what it shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from teachback.model.project import DEFAULT_REASONS
from teachback.server.console.views.filters import filter_view, read_filters, to_store
from teachback.server.console.views.judgements import reasons_by_label
from teachback.store.feedback import Filters

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def test_filters_reach_the_store_when_the_address_has_them() -> None:
    """Each name of the address narrows the list."""
    values = read_filters(
        {"kind": "rating", "negative": "1", "environment": "test", "source": "judge",
         "label": "outdated", "since": "7d", "author": " u-1 "}
    )  # fmt: skip
    assert to_store(values, NOW) == Filters(
        kind="rating", negative=True, environment="test", source="judge", label="outdated",
        author="u-1", since=NOW - timedelta(days=7),
    )  # fmt: skip


def test_filters_are_dropped_when_they_mean_nothing() -> None:
    """An old or mistyped address shows the list instead of an error."""
    assert read_filters({"kind": "<b>", "since": "9y", "negative": "no", "author": "\0"}) == {}


def test_chip_leads_to_the_list_without_it() -> None:
    """Each chip names one filter and removes only that."""
    view = filter_view(
        {"kind": "reasons", "negative": "1", "label": "outdated"}, reasons_by_label(DEFAULT_REASONS)
    )
    assert [(chip.title, chip.href) for chip in view.chips] == [
        ("Negative only", "/feedback?kind=reasons&label=outdated"),
        ("Out of date", "/feedback?kind=reasons&negative=1"),
    ]
    current = [tab.title for tab in view.tabs if tab.current]
    assert current == ["Reasons"]
