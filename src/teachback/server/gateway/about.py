"""What an application says about a call: in headers of ours, or in fields that the protocols have.

A call is never refused for what it says about itself: what cannot be used is left out, and named
in a header of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args
from urllib.parse import unquote

from teachback.model.ids import MAX_ID_BYTES
from teachback.model.trace import Environment, Json

PREFIX = b"x-teachback-"
#: The header of each field, and the key in the request's `metadata` that says the same.
FIELDS = {
    "user": "user_id", "session": "session_id", "turn": "turn", "role": "role",
    "surface": "surface", "locale": "locale", "environment": "environment", "release": "release",
    "prompt": "prompt", "prompt-version": "prompt_version", "tags": "tags",
}  # fmt: skip
#: Whether lessons may be added to this call.
LESSONS = "lessons"
MAX_TAGS = 64
_MAX_TURN = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """Who asked, where and with what; None where nothing was said."""

    user_id: str | None = None
    session_id: str | None = None
    turn: int | None = None
    role: str | None = None
    surface: str | None = None
    locale: str | None = None
    environment: Environment = "prod"
    release: str | None = None
    #: Name and version of the system prompt.
    prompt: str = ""
    prompt_version: str = ""
    tags: tuple[str, ...] = ()
    #: The rest of the request's own `metadata`.
    metadata: dict[str, Json] = field(default_factory=dict)
    #: False when the application wants this call as it is.
    lessons: bool = True
    #: Headers of ours that could not be used.
    ignored: tuple[str, ...] = ()


def read_about(headers: list[tuple[bytes, bytes]], body: Mapping[str, Any]) -> About:
    """Read the headers, then what the body says where they are silent."""
    given = {
        # Percent-encoded where a client's headers are ASCII alone.
        name[len(PREFIX) :].decode("latin-1"): unquote(value.decode("utf-8", "replace")).strip()
        for name, value in headers
        if name.startswith(PREFIX)
    }
    said, ignored = _from_headers(given)
    metadata = body.get("metadata")
    rest: dict[str, Json] = dict(metadata) if isinstance(metadata, dict) else {}
    for name, field_name in FIELDS.items():
        if field_name in rest:
            value = _read(name, rest[field_name])
            if value is not None:
                said.setdefault(field_name, value)
                del rest[field_name]
    user = word(body.get("user")) or word(body.get("safety_identifier"))
    if user:
        said.setdefault("user_id", user)
    lessons = given.get(LESSONS, "on").lower() != "off"
    return About(**cast("Any", said), metadata=rest, lessons=lessons, ignored=tuple(ignored))


def _from_headers(given: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    said: dict[str, object] = {}
    ignored: list[str] = []
    for name, text in given.items():
        value = _read(name, text) if name in FIELDS else None
        if value is not None:
            said[FIELDS[name]] = value
        elif name != LESSONS and text:
            ignored.append(name)
    return said, ignored


def _read(name: str, value: object) -> object:
    """Return the value of a field, None when it is not usable."""
    if name == "turn":
        text = str(value)
        turn = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else 0
        return turn if 1 <= turn <= _MAX_TURN else None
    if name == "environment":
        return value if value in get_args(Environment) else None
    if name == "tags":
        given = value.split(",") if isinstance(value, str) else value
        words = [word(one) for one in given] if isinstance(given, list) else []
        return tuple(one for one in words if one)[:MAX_TAGS] or None
    return word(value)


def word(value: object) -> str | None:
    """Return a short text; one that is too long is cut, which beats a lost record."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if len(text) * 4 > MAX_ID_BYTES:
        text = text.encode("utf-8", "replace")[:MAX_ID_BYTES].decode("utf-8", "ignore")
    return text or None
