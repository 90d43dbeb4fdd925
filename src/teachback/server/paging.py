"""Cursors: where a list goes on, as text that clients hand back unread."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from teachback.errors import Invalid

Position = tuple[datetime, str]
T = TypeVar("T")


def encode(position: Position) -> str:
    """Write a position as text."""
    text = json.dumps([position[0].isoformat(), position[1]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None) -> Position | None:
    """Read a cursor; raises Invalid when it is not one of ours."""
    if cursor is None:
        return None
    try:
        at, name = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return _with_offset(datetime.fromisoformat(at)), str(name)
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise Invalid(
            "cursor", value=cursor, rule="a cursor is the next_cursor of an earlier answer",
            fix="Leave it out to begin at the newest",
        ) from error  # fmt: skip


def _with_offset(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at


def page(
    found: Sequence[T],
    limit: int,
    view: Callable[[T], object],
    position: Callable[[T], Position],
) -> dict[str, object]:
    """Return the shape of every list.

    `found` has one item more than `limit` when the list goes on.
    """
    shown = found[:limit]
    more = len(found) > limit
    return {
        "data": [view(item) for item in shown],
        "next_cursor": encode(position(shown[-1])) if more else None,
    }
