"""Numbers and times carry their units and say no more than they know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from teachback.server.console.views import formats

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "0.4 ms"), (9.0, "9 ms"), (840.4, "840 ms"), (999.6, "1.00 s"), (1_240, "1.24 s"),
        (125_000, "2 min 5 s"), (7_800_000, "2 h 10 min"),
    ],
)  # fmt: skip
def test_duration_is_short_when_written(value: float, text: str) -> None:
    """Two units at most, and milliseconds only where they matter."""
    assert formats.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "$0.00"), (0.00042, "$0.00042"), (0.012, "$0.012"), (1.5, "$1.50"), (3e-6, "$3.0e-06")],
)
def test_cost_keeps_its_digits_when_small(value: float, text: str) -> None:
    """A fraction of a cent is not rounded away."""
    assert formats.dollars(value) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=20), "just now"), (timedelta(minutes=3, seconds=50), "3 min ago"),
        (timedelta(hours=5), "5 h ago"), (timedelta(days=2), "2 d ago"),
        (timedelta(days=40), "29 Jan"), (timedelta(days=400), "3 Feb 2025"),
        (-timedelta(hours=2), "in 2 h"),
    ],
)  # fmt: skip
def test_time_is_relative_when_recent(before: timedelta, text: str) -> None:
    """Recent times say how long ago, older ones their date."""
    assert formats.ago(NOW - before, NOW) == text


def test_excerpt_is_one_line_when_text_is_long() -> None:
    """White space is joined, and the cut shows."""
    assert formats.excerpt("a\n\n b", 10) == "a b"
    assert formats.excerpt("abcdefghij", 5) == "abcd…"
    assert formats.excerpt(" " * 100 + "late", 5).endswith("…")
