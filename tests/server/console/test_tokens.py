"""The colours of the console can be read, in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = files("teachback.server.console").joinpath("static/css/tokens.css").read_text()
PAIRS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS.split("@media")[0]
    )
}
ON_PAGES = [
    (text, surface)
    for text in ("text", "text-2", "text-3", "accent", "negative", "positive")
    for surface in ("canvas", "sunken", "hover", "code")
]
ON_THEIR_OWN = [
    ("text", "pressed"), ("text", "mark"), ("text", "mark-strong"), ("text-2", "raised"),
    ("negative", "negative-soft"), ("positive", "positive-soft"), ("on-accent", "accent"),
    ("accent-strong", "accent-soft"), ("text-2", "accent-soft"), ("text-2", "pressed"),
    ("accent", "accent-soft"), ("negative", "mark"), ("text", "warning-soft"),
    ("text-2", "positive-soft"),
]  # fmt: skip


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), ON_PAGES + ON_THEIR_OWN)
def test_text_has_contrast_when_on_its_surface(text: str, surface: str, theme: int) -> None:
    """WCAG AA: 4.5 to 1."""
    assert contrast(PAIRS[text][theme], PAIRS[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_fields_can_be_seen_when_empty(theme: int) -> None:
    """The border of a field stands out from the page: 3 to 1."""
    assert contrast(PAIRS["line-control"][theme], PAIRS["canvas"][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("number", range(1, 7))
def test_lines_of_charts_can_be_seen(number: int, theme: int) -> None:
    """Each stands out from the page: 3 to 1."""
    assert contrast(PAIRS[f"series-{number}"][theme], PAIRS["canvas"][theme]) >= 3
