"""What may stand at a value's place in a mapping, compiled once and applied to every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from teachback.capture.templates import Scope, Template
from teachback.errors import Invalid
from teachback.model.trace import Json

#: What may stand beside `from` in a table that is an expression.
_WORDS = {"from", "values", "default", "as", "time", "zone", "split", "is", "in"}
_UNITS = {"unix": 1.0, "unix_ms": 1e3, "unix_us": 1e6}


@dataclass(frozen=True, slots=True)
class Expression:
    """A value to be made of each row, and the paths it reads."""

    value: Callable[[Scope], Json]
    paths: tuple[str, ...] = ()


def compile_expression(name: str, given: Any) -> Expression:
    """Compile a value of a mapping; raises Invalid."""
    if isinstance(given, str):
        template = Template.of(given)
        return Expression(template.value, template.paths)
    if isinstance(given, list):
        return _list([compile_expression(name, item) for item in given])
    if isinstance(given, dict):
        return _computed(name, given) if "from" in given else _object(name, given)
    constant: Json = given.isoformat() if isinstance(given, datetime | date) else given
    return Expression(lambda _: constant)


def _list(items: list[Expression]) -> Expression:
    return Expression(
        lambda scope: [value for one in items if (value := one.value(scope)) is not None],
        _paths(items),
    )


def _object(name: str, given: dict[str, Any]) -> Expression:
    members = {key: compile_expression(f"{name}.{key}", one) for key, one in given.items()}

    def value(scope: Scope) -> Json:
        made = {key: one.value(scope) for key, one in members.items()}
        return {key: one for key, one in made.items() if one is not None}

    return Expression(value, _paths(members.values()))


def _paths(inner: Iterable[Expression]) -> tuple[str, ...]:
    return tuple(path for one in inner for path in one.paths)


def _computed(name: str, given: dict[str, Any]) -> Expression:
    """Compile {from = …}: the value, then each of its words in the order written here."""
    unknown = sorted(set(given) - _WORDS)
    if unknown:
        raise Invalid(
            f"{name}.{unknown[0]}", rule="beside `from` this word means nothing",
            fix=f"Known are {', '.join(sorted(_WORDS))}",
        )  # fmt: skip
    source = compile_expression(name, given["from"])
    steps = [_STEPS[word](name, given) for word in _STEPS if word in given]
    others = compile_expression(name, given["is"]).paths if "is" in given else ()

    def value(scope: Scope) -> Json:
        found = source.value(scope)
        for step in steps:
            found = step(found, scope)
        return found

    return Expression(value, (*source.paths, *others))


Step = Callable[[Json, Scope], Json]


def _split(name: str, given: dict[str, Any]) -> Step:
    separator = _text(name, given, "split")

    def step(value: Json, _: Scope) -> Json:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(separator) if part.strip()]

    return step


def _values(name: str, given: dict[str, Any]) -> Step:
    values = given["values"]
    if not isinstance(values, dict) or not values:
        raise Invalid(f"{name}.values", rule="it is a table of values", fix="Write { old = new }")

    def step(value: Json, _: Scope) -> Json:
        if value is None:
            return None
        key = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if key in values:
            return _constant(values[key])
        if "default" in given:
            return _constant(given["default"])
        raise Invalid(
            name, value=value if len(key) <= 64 else None, rule="`values` does not name it",
            fix="Add it there, or a default",
        )  # fmt: skip

    return step


def _constant(value: Any) -> Json:
    return value.isoformat() if isinstance(value, datetime | date) else value


def _default(_: str, given: dict[str, Any]) -> Step:
    constant = _constant(given["default"])
    return lambda value, _: constant if value is None else value


def _as(name: str, given: dict[str, Any]) -> Step:
    wanted = given["as"]
    if wanted not in _TYPES:
        raise Invalid(
            f"{name}.as", value=wanted, rule="this is no type of a value",
            fix=f"Write one of {', '.join(_TYPES)}",
        )  # fmt: skip

    def step(value: Json, _: Scope) -> Json:
        if value is None:
            return None
        try:
            return _TYPES[wanted](value)
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            short = value if len(str(value)) <= 64 else None
            raise Invalid(
                name, value=short, rule=f"it is not of the type {wanted}",
                fix="Correct the row, or leave such rows out with `when`",
            ) from error  # fmt: skip

    return step


def _boolean(value: Any) -> Json:
    word = str(value).strip().lower()
    if word not in {"true", "false", "1", "0", "yes", "no"}:
        raise ValueError(word)
    return word in {"true", "1", "yes"}


def _as_text(value: Any) -> Json:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_TYPES: dict[str, Callable[[Any], Json]] = {
    "text": _as_text,
    "integer": int,
    "number": float,
    "boolean": _boolean,
    "json": lambda value: msgspec.json.decode(value) if isinstance(value, str) else value,
}


def _time(name: str, given: dict[str, Any]) -> Step:
    form, zone = _text(name, given, "time"), _zone(name, given)

    def step(value: Json, _: Scope) -> Json:
        if value is None:
            return None
        try:
            return _moment(value, form, zone).isoformat()
        except (ValueError, TypeError, OverflowError, OSError) as error:
            short = value if len(str(value)) <= 64 else None
            raise Invalid(
                name, value=short, rule=f"it is no time of the form {form} with an offset",
                fix="Correct `time`, and name the `zone` of times without an offset",
            ) from error  # fmt: skip

    return step


def _moment(value: Any, form: str, zone: ZoneInfo | None) -> datetime:
    if form in _UNITS:
        return datetime.fromtimestamp(float(value) / _UNITS[form], UTC)
    text = str(value).strip()
    at = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
    if at.tzinfo is not None:
        return at
    if zone is None:
        raise ValueError("a time without an offset")
    return at.replace(tzinfo=zone)


def _zone(name: str, given: dict[str, Any]) -> ZoneInfo | None:
    if "zone" not in given:
        return None
    try:
        return ZoneInfo(_text(name, given, "zone"))
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(
            f"{name}.zone", value=given["zone"], rule="this machine knows no such time zone",
            fix="Write one such as Europe/Berlin or UTC",
        ) from error  # fmt: skip


def _is(name: str, given: dict[str, Any]) -> Step:
    other = compile_expression(name, given["is"])
    return lambda value, scope: value == other.value(scope)


def _among(name: str, given: dict[str, Any]) -> Step:
    allowed = given["in"]
    if not isinstance(allowed, list):
        raise Invalid(f"{name}.in", rule="it is a list of values", fix='Write ["a", "b"]')
    return lambda value, _: value in allowed


def _text(name: str, given: dict[str, Any], word: str) -> str:
    value = given[word]
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name}.{word}", value=value, rule="it is a text", fix="Write one")
    return value


#: In the order in which they work, whatever their order in the file.
_STEPS: dict[str, Callable[[str, dict[str, Any]], Step]] = {
    "split": _split,
    "values": _values,
    "default": _default,
    "as": _as,
    "time": _time,
    "is": _is,
    "in": _among,
}
