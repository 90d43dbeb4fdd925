"""Saved views beside a list, and whether this is one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachback.model.view import SavedView, ViewPage


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedLink:
    """A saved view that can be opened."""

    id: str
    name: str
    href: str
    current: bool
    may_delete: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """The views of a page, and this address to save."""

    page: ViewPage
    #: The query of this address; empty where there is nothing to save.
    query: str
    views: tuple[SavedLink, ...]
    is_saved: bool


def saved_view(
    page: ViewPage, query: str, views: Sequence[SavedView], deletable: frozenset[str]
) -> Saved:
    """Lay out saved views; `deletable` are ids of those that this member may delete."""
    links = tuple(
        SavedLink(
            id=view.id,
            name=view.name,
            href=address(view),
            current=view.query == query,
            may_delete=view.id in deletable,
        )
        for view in views
    )
    return Saved(page=page, query=query, views=links, is_saved=any(link.current for link in links))


def address(view: SavedView) -> str:
    """Return where a view leads."""
    return f"/{view.page}?{view.query}" if view.query else f"/{view.page}"
