"""The filter language: one line that a person can type, share in an address and read back.

    kind:comment role:admin reason:outdated,wrong -surface:web latency:>2000 since:7d "no invoice"

A condition is `field:value`. Several values separated by commas mean any of them, a leading `-`
means not, `<`, `<=`, `>` and `>=` compare numbers and times, a trailing `*` stands for any end,
and quotes hold a value or phrase together. Everything else is a word to search for.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast, get_args

from teachback.errors import Invalid
from teachback.model.feedback import Kind, Source
from teachback.model.query import Comparison, Query, Term
from teachback.model.trace import Environment

#: Longest query, in code points, and most conditions: beyond what anybody types.
MAX_LENGTH, MAX_TERMS, MAX_VALUES = 2_000, 30, 30

FieldType = Literal["text", "choice", "number", "duration", "time", "yes"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a condition can name."""

    name: str
    type: FieldType
    help: str
    choices: tuple[str, ...] = ()


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("kind", "choice", "kind of feedback", get_args(Kind)),
        Field("name", "text", "what was judged, such as helpful or copy"),
        Field("reason", "text", "label of a reason, or tag of an annotation"),
        Field("source", "choice", "who judged", get_args(Source)),
        Field("author", "text", "pseudonym of who judged"),
        Field("negative", "yes", "says that something was wrong"),
        Field("withdrawn", "yes", "was taken back"),
        Field("unmatched", "yes", "waits for its trace or session"),
        Field("confidence", "number", "how sure the source is, 0 to 1"),
        Field("score", "number", "number of a rating or of a behaviour"),
        Field("has", "choice", "carries such a part", ("comment", "correction", "selector")),
        Field("environment", "choice", "where the application ran", get_args(Environment)),
        Field("user", "text", "end user who asked"),
        Field("role", "text", "role of the end user"),
        Field("surface", "text", "part of the application"),
        Field("locale", "text", "language and region, such as de or en-GB"),
        Field("model", "text", "model that answered, or was asked when none answered"),
        Field("prompt", "text", "system prompt, as name or name@version"),
        Field("document", "text", "document of the context, as name or name@version"),
        Field("release", "text", "release of the application"),
        Field("tag", "text", "tag, by the application or by a member"),
        Field("trace", "text", "id of the trace"),
        Field("session", "text", "id of the session"),
        Field("session.turns", "number", "turns of the session"),
        Field("session.duration", "duration", "length of the session: 90s, 5m, 2h"),
        Field("turn", "number", "place of the trace in its session, from 1"),
        Field("latency", "number", "time to the whole answer, in ms"),
        Field("tokens", "number", "tokens in and out together"),
        Field("cost", "number", "cost of the answer, in US dollars"),
        Field("error", "yes", "the request failed"),
        Field("since", "time", "at or after: 7d, 24h, 2026-11-01, 2026-11-01T12:00Z"),
        Field("until", "time", "before, written as with since"),
        Field("meta", "text", "free metadata by name: meta.plan:pro, meta.seats:>=10"),
    )
}
ALIASES = {"env": "environment", "version": "release", "duration": "session.duration"}

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf"-?(?:{_QUOTED}|[^\s\"])(?:{_QUOTED}|[^\s\"])*", re.DOTALL)
_CONDITION = re.compile(r"(?P<not>-?)(?P<field>[A-Za-z_][\w.\-]*):(?P<rest>.*)", re.DOTALL)
_VALUE = re.compile(rf"(?P<value>{_QUOTED}|[^,\"]+)(?:,|$)", re.DOTALL)
_COMPARED = re.compile(r"(<=|>=|<|>)(.*)", re.DOTALL)
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")


def parse(text: str) -> Query:
    """Read a query; raises Invalid that names the part, its position, the rule and the fix."""
    if len(text) > MAX_LENGTH:
        raise Invalid(
            "query", rule=f"a query has at most {MAX_LENGTH} characters", fix="Shorten it"
        )
    words: list[str] = []
    terms: list[Term] = []
    for token, at in _tokens(text):
        found = _CONDITION.fullmatch(token)
        if found is None:
            words.append(_unquoted(token, at))
        else:
            terms.append(_term(found, at))
    if len(terms) > MAX_TERMS:
        raise Invalid(
            "query", value=len(terms), rule=f"a query has at most {MAX_TERMS} conditions",
            fix="Leave some out",
        )  # fmt: skip
    return Query(words=tuple(word for word in words if word), terms=tuple(terms))


def write(query: Query) -> str:
    """Write a query so that `parse` reads the same one."""
    return " ".join([*map(_written, query.terms), *map(_written_word, query.words)])


def number(text: str) -> float:
    """Read a checked number."""
    return float(text)


def seconds(text: str) -> float:
    """Read a checked duration; a bare number is seconds."""
    found = _SPAN.fullmatch(text)
    return float(found[1]) * _SECONDS[found[2]] if found else float(text)


def moment(text: str, now: datetime) -> datetime:
    """Read a checked time: a span such as 7d reaches back from now, dates default to UTC."""
    if _SPAN.fullmatch(text):
        return now - timedelta(seconds=seconds(text))
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def yes(text: str) -> bool:
    """Read a checked yes or no."""
    return text in _YES


def _tokens(text: str) -> list[tuple[str, int]]:
    if text.replace(r"\\", "").replace(r"\"", "").count('"') % 2:
        raise _wrong(text[-20:], text.rindex('"'), "a quote is opened and not closed", 'Add a "')
    return [(found[0], found.start()) for found in _TOKEN.finditer(text)]


def _term(found: re.Match[str], at: int) -> Term:
    name, _, key = found["field"].partition("meta.")
    field, key = ("meta", key) if key and not name else (found["field"], "")
    known = FIELDS.get(ALIASES.get(field, field))
    if known is None or (known.name == "meta" and not key):
        raise _unknown(found["field"], at)
    comparison, values = _values(found["rest"], known, at + found.start("rest"))
    return Term(
        field=known.name, key=key, comparison=comparison, values=values, negated=bool(found["not"])
    )


def _values(rest: str, field: Field, at: int) -> tuple[Comparison, tuple[str, ...]]:
    comparison: Comparison = "is"
    compared = _COMPARED.fullmatch(rest)
    if compared:
        comparison, rest = cast("Comparison", compared[1]), compared[2]
        if field.type in ("choice", "yes", "time") or (
            field.type == "text" and field.name != "meta"
        ):
            raise _wrong(
                f"{field.name}:{compared[1]}{rest}", at, f"{field.name} is not compared by size",
                f"Write {field.name}:VALUE",
            )  # fmt: skip
    values = _split(rest, at)
    if field.name == "meta" and comparison != "is":
        field = Field("meta", "number", "")
    if len(values) > 1 and (comparison != "is" or field.type in ("time", "yes")):
        raise _wrong(rest, at, f"{field.name} takes one value here", "Leave one")
    return comparison, tuple(_checked(value, field, at) for value in values)


def _split(rest: str, at: int) -> list[str]:
    values: list[str] = []
    end = 0
    while end < len(rest):
        found = _VALUE.match(rest, end)
        if found is None:
            raise _wrong(rest, at, "a value is missing or half quoted", "Quote the whole value")
        values.append(_unquoted(found["value"], at))
        end = found.end()
    if not values or rest.endswith(",") or len(values) > MAX_VALUES or not all(values):
        raise _wrong(
            rest, at, f"a field takes 1 to {MAX_VALUES} values, none of them empty",
            "Write field:value or field:one,other",
        )  # fmt: skip
    return values


def _checked(value: str, field: Field, at: int) -> str:
    if "\0" in value:
        raise _wrong(value, at, "U+0000 stands in no record", "Leave it out")
    if field.type == "choice" and value not in field.choices:
        raise _wrong(
            value, at, f"{field.name} is one of {', '.join(field.choices)}",
            f"Did you mean {_nearest(value, field.choices)}?",
        )  # fmt: skip
    if field.type == "yes" and value not in _YES + _NO:
        raise _wrong(value, at, f"{field.name} is yes or no", f"Write {field.name}:yes")
    if field.type in ("number", "duration", "time") and not _readable(value, field.type):
        raise _wrong(value, at, f"{field.name} is a {field.type}", f"It means {field.help}")
    return value


def _readable(value: str, kind: FieldType) -> bool:
    try:
        if kind == "time":
            moment(value, datetime(2026, 1, 1, tzinfo=UTC)).astimezone(UTC)
            return True
        return math.isfinite(seconds(value) if kind == "duration" else number(value))
    except (ValueError, OverflowError):
        return False


def _unquoted(text: str, at: int) -> str:
    if not text.startswith('"'):
        if '"' in text:
            raise _wrong(text, at, "a quote begins inside a word", "Quote the whole")
        return text
    if not re.fullmatch(_QUOTED, text, re.DOTALL):
        raise _wrong(text, at, "something follows a closing quote", "Put a blank between them")
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _written(term: Term) -> str:
    name = f"meta.{term.key}" if term.field == "meta" else term.field
    sign = "" if term.comparison == "is" else term.comparison
    values = ",".join(_quoted_if(value) for value in term.values)
    return f"{'-' if term.negated else ''}{name}:{sign}{values}"


def _written_word(word: str) -> str:
    plain = not word.startswith("-") and ":" not in word
    return _quoted_if(word) if plain else _quoted(word)


def _quoted_if(text: str) -> str:
    plain = re.fullmatch(r'[^\s",<>\\]+', text)
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unknown(field: str, at: int) -> Invalid:
    known = [*FIELDS, *ALIASES]
    return _wrong(
        f"{field}:", at, f"there is no field {field!a}",
        f'Did you mean {_nearest(field, known)}? To search for the words, put them in quotes',
    )  # fmt: skip


def _nearest(value: str, known: list[str] | tuple[str, ...]) -> str:
    found = difflib.get_close_matches(value, known, n=1, cutoff=0)
    return found[0] if found else known[0]


def _wrong(part: str, at: int, rule: str, fix: str) -> Invalid:
    return Invalid(f"query, character {at + 1}", value=part, rule=rule, fix=fix)
