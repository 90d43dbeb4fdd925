"""How a measured value differs from what it was, or from the whole, and whether that is sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from teachback.model.trend import Point
from teachback.server.console.views import formats

Tone = Literal["positive", "negative", "neutral"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A difference in words."""

    text: str
    #: Its interval, in words.
    interval: str
    tone: Tone
    #: It is beyond what chance explains.
    sure: bool


NO_CHANGE = Change(text="", interval="", tone="neutral", sure=False)


def share_change(now: Point, before: Point, *, better: str) -> Change:
    """Compare two shares by the interval of their difference (Newcombe's, from their own)."""
    ends = difference(now, before)
    if ends is None or now.value is None or before.value is None:
        return NO_CHANGE
    low, high = ends
    sure = low > 0 or high < 0
    rises = now.value > before.value
    tone: Tone = "neutral"
    if sure:
        tone = "positive" if rises == (better == "max") else "negative"
    return Change(
        text=f"{points(now.value - before.value)} points",
        interval=f"{points(low)} to {points(high)}",
        tone=tone,
        sure=sure,
    )


def difference(one: Point, other: Point) -> tuple[float, float] | None:
    """Return the interval of the difference of two shares; None while either is unknown."""
    known = one.enough and other.enough
    if not known or one.value is None or other.value is None:
        return None
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    middle = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return middle - down, middle + up


def count_change(now: float, before: float) -> Change:
    """Say by how much a count grew."""
    if not before:
        return NO_CHANGE
    share = now / before - 1
    sign = "+" if share >= 0 else "\u2212"
    return Change(
        text=f"{sign}{formats.percent(abs(share))}", interval="", tone="neutral", sure=False
    )


def points(difference: float) -> str:
    """Write a difference of shares in points of percent: +3.1, with a true minus below zero."""
    value = abs(difference) * 100
    text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    return text if float(text) == 0 else ("+" if difference > 0 else "\u2212") + text
