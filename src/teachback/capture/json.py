"""Read JSON written by strangers: bounded, exact, and free of what PostgreSQL cannot hold.

PostgreSQL refuses U+0000 in text and lone surrogates anywhere; one of them would spoil the shared
commit of many requests. Both become U+FFFD here, at the edge, and the record is flagged. Duplicate
keys, NaN and numbers beyond a double would be changed silently by some layer, so they are refused.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

import msgspec

from teachback.errors import Invalid

#: Deepest nesting accepted; jsonb itself fails between 6,000 and 20,000.
MAX_DEPTH = 100

#: Longest key that a message repeats: a longer one is likely to be what somebody said.
MAX_SHOWN_KEY = 64

_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|(?P<bad>\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANYTHING = msgspec.json.Decoder()
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class _DuplicateKey(ValueError):
    pass


def split_object(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object as undecoded bytes; raises Invalid."""
    try:
        members = {key: bytes(raw) for key, raw in _MEMBERS.decode(body).items()}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed("body", error) from error
    if any(body.count(b'"%s"' % key.encode("utf-8", "replace")) > 1 for key in members):
        loads(body)  # a repeated member would vanish silently: let the exact reader judge
    return members


def split_list(field: str, raw: bytes) -> list[bytes]:
    """Return the elements of a JSON list as undecoded bytes; raises Invalid."""
    try:
        return [bytes(item) for item in _ITEMS.decode(raw)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(field, error) from error


def sanitize(raw: bytes) -> tuple[bytes, bool]:
    """Replace what PostgreSQL cannot hold by U+FFFD; tell whether anything was replaced."""
    replaced = False

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if match["bad"] is None:
            return match[0]
        replaced = True
        return b"\\ufffd"

    if _SUSPECT.search(raw):
        raw = _ESCAPE.sub(mend, raw)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace").encode(), True
    return raw, replaced


def holds_replacement(raw: bytes) -> bool:
    """Tell whether a part of a sanitized body holds U+FFFD."""
    return b"\\ufffd" in raw or b"\xef\xbf\xbd" in raw


#: What helps who sends to the API.
_SHAPE = "Send JSON in UTF-8 of the shape that docs/reference/api.md gives"


def loads(raw: bytes, field: str = "body", *, fix: str = _SHAPE) -> object:
    """Decode JSON exactly or raise Invalid: no duplicate keys, NaN, overflow or deep nesting."""
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        raise _too_deep(field)
    try:
        return _decode(raw)
    except _DuplicateKey as error:
        raise Invalid(
            field,
            value=str(error) if len(str(error)) <= MAX_SHOWN_KEY else None,
            rule="a key may stand in an object only once",
            fix="Send each key once",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(field, error, fix) from error


def _decode(raw: bytes) -> object:
    """Decode fast where that is provably exact, else by the exact reader, many times slower.

    The fast decoder keeps the last of duplicate keys and rounds long numbers. When writing its
    value gives the same bytes again, which is so for what our SDK and browsers send, nothing was.
    """
    value = _ANYTHING.decode(raw)
    return value if msgspec.json.encode(value) == raw else _EXACT.decode(raw.decode())


def quick_object(body: bytes) -> dict[str, object] | None:
    """Decode a whole JSON object in one go where that is provably exact, else return None.

    Its values may be nested deeper than allowed: see `check_depth`.
    """
    try:
        value = _ANYTHING.decode(body)
        exact = isinstance(value, dict) and msgspec.json.encode(value) == body
    except (ValueError, RecursionError):
        return None
    return value if exact else None


def check_depth(field: str, value: object, level: int) -> None:
    """Raise Invalid when a value that stands at this level reaches deeper than allowed."""
    layer = [value]
    while layer := [part for whole in layer for part in _parts(whole)]:
        level += 1
        if level > MAX_DEPTH:
            raise _too_deep(field)


def _parts(value: object) -> list[object]:
    """Return the lists and objects directly inside a value."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in values if isinstance(part, dict | list)]


def _too_deep(field: str) -> Invalid:
    return Invalid(
        field,
        rule=f"JSON may be nested {MAX_DEPTH} levels deep at most",
        fix="Flatten it, or send the deep part as text",
    )


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(raw):
        token = match[0]
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKey(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return members


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _malformed(field: str, error: Exception, fix: str = _SHAPE) -> Invalid:
    reason = "nested too deeply" if isinstance(error, RecursionError) else _reason(error)
    return Invalid(
        field,
        rule=f"this is not the JSON expected here ({reason})",
        fix=fix,
    )


def _reason(error: Exception) -> str:
    # The exact reader's message quotes nothing but a position; a value error's own words are ours.
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)[:120]


_EXACT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)
