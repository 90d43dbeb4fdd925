"""What the addresses of the explorer's lists have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from teachback.model.query import Query
from teachback.server.console.views.cases import query_values
from teachback.server.console.views.filterbox import FilterBox, read_box

Sort = Literal["newest", "oldest"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explorer:
    """What an address asks for."""

    box: FilterBox
    #: Narrows nothing when the box cannot be read.
    query: Query
    sort: Sort
    cursor: str | None

    @property
    def words(self) -> str:
        return " ".join(self.query.words)

    @property
    def others(self) -> dict[str, str]:
        """Parameters beside the query that links keep."""
        return {"sort": self.sort} if self.sort == "oldest" else {}

    @property
    def values(self) -> dict[str, str]:
        return query_values(self.query, self.others)

    @property
    def address(self) -> str:
        return urlencode(self.values)


def read_explorer(given: Mapping[str, str]) -> Explorer:
    """Return what an address asks for."""
    box, query = read_box(given.get("q", "").replace("\0", ""))
    return Explorer(
        box=box,
        query=query or Query(),
        sort="oldest" if given.get("sort") == "oldest" else "newest",
        cursor=given.get("cursor") or None,
    )
