"""Any Python object as text or JSON: bounded, without side effects, and never an exception."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TypeVar, cast
from uuid import UUID

import msgspec

from teachback.model.trace import Json
from teachback.sdk.scrub import HIDDEN, is_secret_name

#: Deeper values are named by their type; the server takes 100 levels.
MAX_DEPTH = 20
#: Values inside one object; the rest is left out.
MAX_VALUES = 10_000
#: Tags and labels of one record; characters of one, and of names, roles and versions.
MAX_WORDS = 64
MAX_WORD_CHARS = 256

R = TypeVar("R")

_ENCODER = msgspec.json.Encoder()


def _or_none(convert: Callable[[object], R]) -> Callable[[object], R | None]:
    """Take an object that fails even when it is looked at for one that says nothing."""

    @functools.wraps(convert)
    def call(value: object) -> R | None:
        try:
            return convert(value)
        except Exception:
            return None

    return call


def as_text(value: object) -> str | None:
    """Return text as it is and anything else as JSON."""
    if value is None or type(value) is str:
        return value
    rendered = as_json(value)
    return rendered if isinstance(rendered, str) else _ENCODER.encode(rendered).decode()


def as_json(value: object) -> Json:
    """Return the value in the shapes JSON knows; what has none is named by its type."""
    return _Renderer().render(value, 0)


@_or_none
def as_object(value: object) -> dict[str, Json] | None:
    """Return a JSON object; a value that is none is put under `value`."""
    if value is None:
        return None
    rendered = as_json(value)
    return rendered if isinstance(rendered, dict) else {"value": rendered}


def as_number(value: object) -> float | None:
    """Return a finite number, or None."""
    if value is None or type(value) is str:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:
        return None
    return number if math.isfinite(number) else None


def as_moment(value: object) -> datetime | None:
    """Return a time with an offset; one without is taken as local, which is what it is."""
    if type(value) is not datetime:
        return None
    return value if value.tzinfo is not None else value.astimezone()


@_or_none
def as_words(values: object) -> list[str] | None:
    """Return tags or labels: at most 64 short texts, also of an endless iterator."""
    alone = values is None or isinstance(values, str) or not isinstance(values, Iterable)
    given = [values] if alone else itertools.islice(cast(Iterable[object], values), MAX_WORDS)
    return [word for value in given if (word := as_word(value))] or None


def as_word(value: object) -> str | None:
    """Return a short text; the server takes no longer one, and a cut word beats a lost record."""
    if type(value) is str and len(value) <= MAX_WORD_CHARS:
        return value or None
    text = as_text(value)
    return text[:MAX_WORD_CHARS] if text else None


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 has no bytes for, by U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


class _Renderer:
    """Walks one object; remembers where it is, so that cycles end."""

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._left = MAX_VALUES

    def render(self, value: object, depth: int) -> Json:
        self._left -= 1
        try:
            return self._render(value, depth)
        except Exception:  # foreign code runs in here: properties, iterators, `model_dump`
            return _type_name(value)

    def _render(self, value: object, depth: int) -> Json:
        scalar = _scalar(value)
        if scalar is not _NO_SCALAR:
            return cast(Json, scalar)
        if id(value) in self._inside or depth >= MAX_DEPTH or self._left <= 0:
            return _type_name(value)
        self._inside.add(id(value))
        try:
            return self._container(value, depth + 1)
        finally:
            self._inside.discard(id(value))

    def _container(self, value: object, depth: int) -> Json:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.render(item, depth) for item in value if self._left > 0]
        if (fields := _fields(value)) is not None:
            return self._mapping(fields, depth)
        return _type_name(value)

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, Json]:
        rendered: dict[str, Json] = {}
        for key, item in value.items():
            if self._left <= 0:
                break
            name = clean(key) if isinstance(key, str) else str(_scalar_or_name(key))
            rendered[name] = HIDDEN if _is_secret(name, item) else self.render(item, depth)
        return rendered


def _is_secret(name: str, value: object) -> bool:
    """Tell whether a value is to be hidden for its name; a number under `token` is a count."""
    if value is None or isinstance(value, bool) or not is_secret_name(name):
        return False
    return not (isinstance(value, int | float) and name.lower().endswith("token"))


_NO_SCALAR = object()


def _scalar(value: object) -> object:
    """Return the JSON form of a value without parts, or `_NO_SCALAR`."""
    if value is None or type(value) is bool:
        return value
    if type(value) is str:
        return value if value.isascii() else clean(value)
    match value:
        case Enum():
            return _scalar(value.value)
        case str():
            return clean(str(value))
        case int():
            return int(value) if -(2**63) <= value < 2**64 else str(int(value))
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case bytes() | bytearray() | memoryview():
            return _bytes_as_text(bytes(value))
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID() | PurePath():
            return str(value)
        case BaseException():
            return clean(f"{type(value).__name__}: {value}")
    return _NO_SCALAR


def _scalar_or_name(value: object) -> object:
    scalar = _scalar(value)
    return _type_name(value) if scalar is _NO_SCALAR else scalar


def _bytes_as_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes>"


def _fields(value: object) -> Mapping[object, object] | None:
    """Return the named parts of dataclasses, pydantic models and msgspec structs."""
    if isinstance(value, type):
        return None
    names: Iterable[str] | None = None
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif isinstance(declared := getattr(type(value), "model_fields", None), Mapping):
        names = [*declared, *(getattr(value, "model_extra", None) or {})]
    return None if names is None else {name: getattr(value, name, None) for name in names}


def _type_name(value: object) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
