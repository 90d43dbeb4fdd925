"""The spans of a trace as a waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachback.model.trace import Span
from teachback.server.console.views.formats import milliseconds

#: Rows that are drawn; a trace may have ten thousand.
MAX_STEPS = 200
#: Characters of an input or output that are shown; the API has the whole.
MAX_TEXT = 20_000
#: Deepest indentation that still leaves room for the name.
MAX_DEPTH = 6
#: Narrowest bar, in percent, that can be seen.
NARROWEST = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One span: a row with its bar."""

    id: str
    name: str
    kind: str
    #: Nesting, from 0.
    depth: int
    duration: str | None
    #: Left edge and width of the bar in percent of the trace; None when times are unknown.
    left: float | None
    width: float | None
    input: str | None
    output: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Waterfall:
    """The steps in their order, and how many more there are."""

    steps: tuple[Step, ...]
    hidden: int
    #: From the first start to the last end.
    total: str | None


def waterfall(spans: Sequence[Span]) -> Waterfall:
    """Lay spans out on a common time axis."""
    start, length = _extent(spans)
    depths = _depths(spans)
    shown = spans[:MAX_STEPS]
    return Waterfall(
        steps=tuple(_step(span, depths[span.id], start, length) for span in shown),
        hidden=len(spans) - len(shown),
        total=milliseconds(length) if length else None,
    )


def cut(text: str | None) -> str | None:
    """Return the beginning of a text that is too long for a page, and say that it was cut."""
    if text is None or len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT:,} more characters; the API has all of it."


def _extent(spans: Sequence[Span]) -> tuple[float, float]:
    """Return the first start (Unix time in ms) and the length of all spans together in ms."""
    times = [
        (span.started_at.timestamp() * 1_000, span.latency_ms or 0.0)
        for span in spans
        if span.started_at is not None
    ]
    if not times:
        return 0.0, 0.0
    start = min(begin for begin, _ in times)
    return start, max(begin + length for begin, length in times) - start


def _depths(spans: Sequence[Span]) -> dict[str, int]:
    """Count each span's known ancestors; a parent stands before its children or counts as none."""
    depths: dict[str, int] = {}
    for span in spans:
        parent = depths.get(span.parent_id, -1) if span.parent_id is not None else -1
        depths[span.id] = min(parent + 1, MAX_DEPTH)
    return depths


def _step(span: Span, depth: int, start: float, length: float) -> Step:
    left, width = _bar(span, start, length)
    return Step(
        id=span.id,
        name=span.name,
        kind=span.kind,
        depth=depth,
        duration=milliseconds(span.latency_ms) if span.latency_ms is not None else None,
        left=left,
        width=width,
        input=cut(span.input),
        output=cut(span.output),
        error=span.error,
    )


def _bar(span: Span, start: float, length: float) -> tuple[float | None, float | None]:
    if span.started_at is None or span.latency_ms is None or not length:
        return None, None
    left = min((span.started_at.timestamp() * 1_000 - start) / length * 100, 100 - NARROWEST)
    return round(left, 2), round(max(span.latency_ms / length * 100, NARROWEST), 2)
