"""Pages of a list: each ends with a link to the older ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from teachback.server.paging import Position, encode

PAGE_SIZE = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Paging:
    """The addresses around a page."""

    newest: str | None
    older: str | None


def paging(
    path: str, values: Mapping[str, str], *, here: str | None, last: Position | None
) -> Paging:
    """Link to the newest page, unless this is it, and to the older one.

    `here` is this page's cursor; `last` is where the next page goes on, if there is one.
    """
    older = f"{path}?{urlencode({**values, 'cursor': encode(last)})}" if last else None
    newest = (f"{path}?{urlencode(values)}" if values else path) if here else None
    return Paging(newest=newest, older=older)
