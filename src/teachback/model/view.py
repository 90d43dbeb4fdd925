"""What members keep beside the record: saved views of a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ViewPage = Literal["feedback", "sessions", "trends"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedView:
    """A name for an address of the console; everybody in the project sees it."""

    id: str
    #: Who saved it.
    member_id: str
    name: str
    page: ViewPage
    #: The query of the address.
    query: str
    created_at: datetime
