"""Words that were searched for, marked where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from teachback.recall.highlight import highlights
from teachback.server.console.views.formats import excerpt

#: Text kept before the first word found, when the beginning is cut off.
LEAD = 40
#: Code points of a text that are searched: a text may be megabytes long.
LOOKED_AT = 20_000


def highlight(text: str, stems: Sequence[str], limit: int) -> Markup:
    """Cut a text to one line that shows the first word found, and mark every one in it."""
    places = highlights(text[:LOOKED_AT], stems) if stems else ()
    begins = 0
    if places and places[0][1] > limit:
        begins = text.rfind(" ", 0, max(0, places[0][0] - LEAD)) + 1
    shown = [(a - begins, b - begins) for a, b in places if a >= begins]
    text = text[begins:]
    marked = Markup("…") if begins else Markup()
    at = 0
    for start, end in shown:
        if end >= limit:
            break
        marked += _line(text[at:start]) + _found(text[start:end])
        at = end
    return marked + _line(excerpt("|" + text[at:], max(limit - at, 2))[1:])


def _found(word: str) -> Markup:
    return Markup('<mark class="found">{}</mark>').format(word)


def _line(text: str) -> Markup:
    """Write a stretch of a text without its line breaks."""
    ends = " " if text[-1:].isspace() and text.strip() else ""
    begins = " " if text[:1].isspace() else ""
    return escape(begins + " ".join(text.split()) + ends)
