"""From rows of any shape to records of ours, as a small file of TOML says."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from teachback.capture.expressions import Expression, compile_expression
from teachback.capture.native import FeedbackIn, TraceIn
from teachback.capture.rows import Members, Row
from teachback.capture.templates import Scope
from teachback.capture.turns import Splitter
from teachback.errors import Invalid
from teachback.model.trace import Json

Object = Literal["trace", "feedback"]
_FIELDS: dict[Object, set[str]] = {
    "trace": set(TraceIn.__struct_fields__),
    "feedback": set(FeedbackIn.__struct_fields__),
}
_MEMBERS = {"key", "constants", "turns", "trace", "feedback"}
_ENCODER = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A record made of a row, as the API takes it."""

    object: Object
    members: dict[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordRule:
    """How one kind of record is made of a row."""

    object: Object
    #: Place among all rules; part of the ids it makes.
    place: int
    #: Names given to the items of lists of the row, which are walked side by side.
    each: dict[str, Expression]
    #: All of `when` must hold something, and none of `unless`.
    when: tuple[Expression, ...]
    unless: tuple[Expression, ...]
    fields: dict[str, Expression]


@dataclass(slots=True)
class Coverage:
    """Which columns a file has."""

    columns: dict[str, None] = field(default_factory=dict)
    #: Columns told apart; files with more have data for names.
    limit: int = 10_000

    def see(self, members: Members) -> None:
        """Note the columns of a row."""
        if len(self.columns) < self.limit:
            self.columns.update(dict.fromkeys(members))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """What becomes of each row of a file."""

    key: tuple[str, ...]
    constants: dict[str, Json]
    turns: dict[str, Splitter]
    rules: tuple[RecordRule, ...]

    def records(self, row: Row, coverage: Coverage) -> Iterator[Mapped]:
        """Make the records of a readable row; raises Invalid where it cannot be mapped."""
        members = cast(Members, row.members)
        coverage.see(members)
        scope = Scope(members, dict(self.constants))
        scope.own |= {"@row": row.number, "@key": self._key(scope)}
        scope.own |= {name: splitter.split(scope) for name, splitter in self.turns.items()}
        for rule in self.rules:
            yield from _apply(rule, scope)

    def unused(self, coverage: Coverage) -> list[str]:
        """Return the columns that nothing in the mapping reads."""
        used = self._paths() | {path.partition(".")[0] for path in self._paths()}
        return [name for name in coverage.columns if name not in used]

    def missing(self, coverage: Coverage) -> list[str]:
        """Return the paths whose column is in no row: most likely misspelt."""
        columns = coverage.columns
        return sorted(
            path
            for path in self._paths()
            if path not in columns and path.partition(".")[0] not in columns
        )

    def _key(self, scope: Scope) -> str:
        """Return a text that is the same for the same row on every run."""
        parts: Json = [scope.find(path) for path in self.key] if self.key else dict(scope.row)
        try:
            return hashlib.sha256(_ENCODER.encode(parts)).hexdigest()[:32]
        except UnicodeEncodeError as error:
            raise Invalid(
                "row", rule="it holds half of a surrogate pair, which is no character",
                fix="Replace it by U+FFFD",
            ) from error  # fmt: skip

    def _paths(self) -> set[str]:
        """Return the paths that lead into the row itself."""
        own = {"@row", "@key", "@number", "@last", *self.constants, *self.turns}
        paths = set(self.key) | {path for one in self.turns.values() for path in one.paths}
        for rule in self.rules:
            named = own | set(rule.each)
            paths |= {path for one in rule.each.values() for path in one.paths}
            told = [*rule.fields.values(), *rule.when, *rule.unless]
            inside = {path for one in told for path in one.paths}
            paths |= {path for path in inside if path.partition(".")[0] not in named}
        return {path for path in paths if path.partition(".")[0] not in own}


def _apply(rule: RecordRule, scope: Scope) -> Iterator[Mapped]:
    for inner in _walk(rule, scope):
        if not all(one.value(inner) for one in rule.when):
            continue
        if any(one.value(inner) for one in rule.unless):
            continue
        values = {name: one.value(inner) for name, one in rule.fields.items()}
        suffix = f"-{inner.own['@number']}" if rule.each else ""
        members: dict[str, Json] = {"id": f"{scope.own['@key']}-{rule.place}{suffix}"}
        members |= {name: value for name, value in values.items() if value is not None}
        yield Mapped(rule.object, members)


def _walk(rule: RecordRule, scope: Scope) -> Iterator[Scope]:
    """Return a scope for each place of the lists that the rule walks; one if it walks none."""
    if not rule.each:
        yield scope
        return
    lists = {name: _items(name, one.value(scope)) for name, one in rule.each.items()}
    lengths = {len(items) for items in lists.values()}
    if len(lengths) > 1:
        raise Invalid(
            "each", value=", ".join(f"{name} {len(items)}" for name, items in lists.items()),
            rule="lists that are walked side by side are equally long",
            fix="Correct the row, or walk them in rules of their own",
        )  # fmt: skip
    for number in range(length := lengths.pop()):
        own = {name: items[number] for name, items in lists.items()}
        yield scope.within(**own, **{"@number": number + 1, "@last": number + 1 == length})


def _items(name: str, value: Json) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(
            f"each.{name}", rule="what is walked is a list", fix="Name the path of a list"
        )
    return value


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file; raises Invalid with what is wrong in it."""
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Invalid(
            "mapping", value=path.name, rule=f"it cannot be read as TOML ({error})",
            fix="See docs/reference/mappings.md",
        ) from error  # fmt: skip
    return compile_mapping(given)


def compile_mapping(given: dict[str, Any]) -> Mapping:
    """Check a mapping whole, before the first row; raises Invalid."""
    _only(given, _MEMBERS, "mapping")
    key = given.get("key", [])
    if not isinstance(key, list) or not all(isinstance(path, str) for path in key):
        raise _wrong("key", "it lists the fields that tell rows apart", 'Write ["number", "date"]')
    rules = [
        (kind, table)
        for kind in cast(tuple[Object, ...], ("trace", "feedback"))
        for table in _tables(given, kind)
    ]
    if not rules:
        raise _wrong("mapping", "it makes no records", "Add [[trace]] or [[feedback]]")
    return Mapping(
        key=tuple(key),
        constants=_table(given, "constants"),
        turns={name: Splitter.of(name, one) for name, one in _table(given, "turns").items()},
        rules=tuple(_rule(kind, place, table) for place, (kind, table) in enumerate(rules, 1)),
    )


def _rule(kind: Object, place: int, table: dict[str, Any]) -> RecordRule:
    _only(table, _FIELDS[kind] | {"each", "when", "unless"}, kind)
    each = _table(table, "each")
    fields = {name: one for name, one in table.items() if name not in {"each", "when", "unless"}}
    return RecordRule(
        object=kind,
        place=place,
        each={name: compile_expression(f"each.{name}", one) for name, one in each.items()},
        when=_conditions(table, "when"),
        unless=_conditions(table, "unless"),
        fields={name: compile_expression(name, one) for name, one in fields.items()},
    )


def _conditions(table: dict[str, Any], name: str) -> tuple[Expression, ...]:
    given = table.get(name, [])
    together = given if isinstance(given, list) else [given]
    return tuple(compile_expression(name, one) for one in together)


def _tables(given: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = given.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise _wrong(name, "it is a list of tables", f"Write [[{name}]]")
    return tables


def _table(given: dict[str, Any], name: str) -> dict[str, Any]:
    table = given.get(name, {})
    if not isinstance(table, dict):
        raise _wrong(name, "it is a table", f"Write [{name}]")
    return table


def _only(given: dict[str, Any], allowed: set[str], where: str) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise _wrong(
            f"{where}.{unknown[0]}", "this name means nothing there",
            f"Known are {', '.join(sorted(allowed))}",
        )  # fmt: skip


def _wrong(name: str, rule: str, fix: str) -> Invalid:
    return Invalid(name, rule=rule, fix=fix)
