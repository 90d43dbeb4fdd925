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
        raise _not_ours(cursor) from error


def encode_rank(rank: int) -> str:
    """Write how many have been shown of a list in the order of fit."""
    return base64.urlsafe_b64encode(json.dumps([rank]).encode()).decode().rstrip("=")


def decode_rank(cursor: str | None) -> int:
    """Read `encode_rank`; raises Invalid when it is not one of ours."""
    if cursor is None:
        return 0
    try:
        (rank,) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return _counted(rank)
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise _not_ours(cursor) from error


def _counted(rank: object) -> int:
    if type(rank) is not int or not 0 <= rank <= 1_000:
        raise ValueError("no count of what was shown")
    return rank


def _not_ours(cursor: str) -> Invalid:
    return Invalid(
        "cursor", value=cursor, rule="a cursor is the next_cursor of an earlier answer",
        fix="Leave it out to begin at the first page",
    )  # fmt: skip


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
