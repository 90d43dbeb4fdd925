"""Conditions of a query as SQL: fields become our own expressions, values become parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, LiteralString

from psycopg import sql

from teachback.core.filters import FIELDS, moment, number, seconds, yes
from teachback.model.query import Query, Term

#: What a list shows one of a line: the aliases are f, t and s.
Subject = Literal["feedback", "trace", "session"]
#: Where a field stands: on the judgement, the trace or the session.
Home = Literal["feedback", "trace", "session"]

_HOMES: dict[str, Home] = {
    **dict.fromkeys(
        ("kind", "name", "reason", "source", "author", "negative", "withdrawn", "unmatched",
         "confidence", "score", "has"), "feedback",
    ),
    **dict.fromkeys(("session.turns", "session.duration"), "session"),
}  # fmt: skip
_EXPRESSIONS: dict[str, LiteralString] = {
    "kind": "f.kind",
    "name": "f.name",
    "source": "f.source",
    "author": "f.author",
    "negative": "f.negative",
    "withdrawn": "f.withdrawn",
    "unmatched": "(not f.matched)",
    "confidence": "f.confidence",
    "score": "f.score",
    "user": "t.user_id",
    "trace": "t.id",
    "session": "t.session_id",
    "turn": "t.turn",
    "latency": "t.latency_ms",
    "tokens": "(coalesce(t.input_tokens, 0) + coalesce(t.output_tokens, 0))",
    "cost": "t.cost_usd",
    "error": "(t.error is not null)",
    "session.turns": "s.turns",
    "session.duration": "extract(epoch from s.ended_at - s.started_at)",
}
_HAS: dict[str, LiteralString] = {
    "comment": "f.comment is not null",
    "correction": "f.correction is not null",
    "selector": "f.selector is not null",
}
#: Where members' tags are looked up, beside those that applications send.
_TAGGED: dict[Home, LiteralString] = {
    "feedback": """exists (select from tag m where m.project_id = f.project_id
        and m.target_kind = 'feedback' and m.target_id = f.id and {})""",
    "trace": """exists (select from tag m where m.project_id = t.project_id and (
        (m.target_kind = 'trace' and m.target_id = t.id)
        or (m.target_kind = 'feedback' and m.target_id in (select f.id from feedback f
            where f.project_id = t.project_id and f.trace_id = t.id))) and {})""",
}
#: What a place is made of, on the table `place` under the alias p.
DIMENSIONS = ("model", "prompt", "environment", "role", "surface", "locale", "release")
#: What the indexes of feedback over time hold, beside its place and its time.
_COVERED = frozenset({"kind", "name", "source", "negative", "withdrawn"})
_TIMED = frozenset({"since", "until"})
_INDEXED = frozenset({"reason", "tag", "meta", "user", "session", "trace", "error", "unmatched"})
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,200})(\.\d{1,200})?([eE][+-]?\d{1,2})?")
_TIMES: dict[Subject, LiteralString] = {
    "feedback": "f.occurred_at",
    "trace": "t.started_at",
    "session": "s.ended_at",
}


@dataclass(slots=True)
class Where:
    """A condition with its parameters; joined with `and` to those of the list."""

    #: All of it, for a list whose statement has the parameter `project`.
    text: sql.Composable
    params: dict[str, object] = field(default_factory=dict)
    #: The same in parts, for statements that take them at different places: what must hold of the
    #: place, under the alias p; of the time; of what the indexes of feedback hold; and the others.
    places: sql.Composable | None = None
    times: sql.Composable | None = None
    covered: sql.Composable | None = None
    rest: sql.Composable | None = None
    #: What must hold of the place holds of none at all, too.
    nowhere: bool = False
    #: What is rare among the others is found by an index of its own.
    indexed: bool = False

    @property
    def of_trace(self) -> sql.Composable | None:
        """What must hold of the trace beside its place; None for nothing."""
        return _all(filter(None, (self.times, self.covered, self.rest)))


def where(query: Query, subject: Subject, now: datetime) -> Where:
    """Write the conditions of a query for a list of this subject.

    Conditions on feedback must hold of one judgement together, those on a trace of one trace; a
    negated one must hold of none. The list's own table has the alias f, t or s.
    """
    writer = _Writer(subject, now)
    if subject == "session":
        return Where(_all(writer.parts(query.terms, query.words)) or _TRUE, writer.params)
    parts: dict[str, list[Term]] = {"places": [], "times": [], "covered": [], "rest": []}
    for term in query.terms:
        parts[_part(term, subject)].append(term)
    found = Where(
        _TRUE, writer.params,
        places=_all(map(writer.of_place, parts["places"])),
        times=_all(writer.parts(parts["times"])),
        covered=_all(writer.parts(parts["covered"])),
        rest=_all(writer.parts(parts["rest"], query.words)),
        nowhere=all(term.negated for term in parts["places"]),
        indexed=bool(query.words) or any(map(_is_indexed, parts["rest"])),
    )  # fmt: skip
    inside: sql.Composable | None = found.places and writer.placed(found.places)
    if inside and found.nowhere and subject == "feedback":
        inside = sql.SQL("({} or f.place_id = 0)").format(inside)
    found.text = _all(filter(None, (inside, found.times, found.covered, found.rest))) or _TRUE
    return found


def _part(term: Term, subject: Subject) -> str:
    if term.field in DIMENSIONS:
        return "places"
    if term.field in _TIMED:
        return "times"
    return "covered" if subject == "feedback" and term.field in _COVERED else "rest"


def _is_indexed(term: Term) -> bool:
    return term.field in _INDEXED and not term.negated and term.comparison == "is"


def direction(*, oldest: bool) -> dict[str, sql.Composable]:
    """Return the words for a list's order and for what lies beyond its cursor."""
    return {
        "order": sql.SQL("asc" if oldest else "desc"),
        "beyond": sql.SQL(">" if oldest else "<"),
    }


_TRUE = sql.SQL("true")
_EXISTS: dict[tuple[Subject, Home], LiteralString] = {
    ("feedback", "trace"): """exists (select from trace t
        where t.project_id = f.project_id and t.id = f.trace_id and {})""",
    ("feedback", "session"): """exists (select from session s
        where s.project_id = f.project_id and s.id = coalesce(f.session_id,
            (select t.session_id from trace t
             where t.project_id = f.project_id and t.id = f.trace_id)) and {})""",
    ("trace", "feedback"): """exists (select from feedback f
        where f.project_id = t.project_id and f.trace_id = t.id and {})""",
    ("trace", "session"): """exists (select from session s
        where s.project_id = t.project_id and s.id = t.session_id and {})""",
    ("session", "trace"): """exists (select from trace t
        where t.project_id = s.project_id and t.session_id = s.id and {})""",
    # Two ways, each by its index: one join with "or" would read all feedback for each session.
    ("session", "feedback"): """(exists (select from feedback f
        where f.project_id = s.project_id and f.session_id = s.id and {0})
        or exists (select from trace t join feedback f
            on f.project_id = t.project_id and f.trace_id = t.id
        where t.project_id = s.project_id and t.session_id = s.id and {0}))""",
}
_DOCUMENTS: dict[Subject, LiteralString] = {
    "feedback": "d.trace_id = f.trace_id",
    "trace": "d.trace_id = t.id",
    "session": """d.trace_id in (select t.id from trace t
        where t.project_id = s.project_id and t.session_id = s.id)""",
}
_PROJECTS: dict[Subject, LiteralString] = {
    "feedback": "f.project_id",
    "trace": "t.project_id",
    "session": "s.project_id",
}


class _Writer:
    def __init__(self, subject: Subject, now: datetime) -> None:
        self._subject: Subject = subject
        self._now = now
        self.params: dict[str, object] = {}

    def parts(self, terms: Sequence[Term], words: Sequence[str] = ()) -> list[sql.Composable]:
        """Gather the positive conditions of each home into one, and negate the others alone."""
        together: dict[Home, list[sql.Composable]] = {}
        parts: list[sql.Composable] = []
        for term in terms:
            home = self._home(term)
            condition = self._condition(term)
            if term.negated:
                parts.append(sql.SQL("not coalesce({}, false)").format(self._of(home, condition)))
            else:
                together.setdefault(home, []).append(condition)
        parts += [self._of(home, sql.SQL(" and ").join(all_)) for home, all_ in together.items()]
        return [*parts, self.words(words)] if words else parts

    def of_place(self, term: Term) -> sql.Composable:
        """Write a condition on a dimension for the table `place`."""
        found: sql.Composable
        if term.field == "prompt":
            found = sql.SQL("exists (select from unnest(p.prompts) as item where {})").format(
                _any(map(self._prompt, term.values))
            )
        else:
            found = self.text(sql.SQL("p.{}").format(sql.Identifier(term.field)), term.values)
        return sql.SQL("not {}").format(found) if term.negated else found

    def placed(self, condition: sql.Composable) -> sql.Composable:
        """Say that the line, or the trace under the alias t, is in a place of which that holds."""
        return sql.SQL(
            "{}.place_id = any(array("
            "select p.id from place p where p.project_id = %(project)s and {}))"
        ).format(sql.SQL("f" if self._subject == "feedback" else "t"), condition)

    def _prompt(self, value: str) -> sql.Composable:
        """Let a prompt without a version mean any of them."""
        name, at, version = value.rpartition("@")
        if at and _open_ended(name):
            return sql.SQL("({} and right(item, {}) = {})").format(
                self.text(sql.SQL("item"), [name]), sql.Literal(len(version) + 1),
                self._param(f"@{version}"),
            )  # fmt: skip
        return self.text(sql.SQL("item"), [value if at or _open_ended(value) else f"{value}@*"])

    def words(self, words: Sequence[str]) -> sql.Composable:
        """All words stand in the document of the trace, in any form of theirs."""
        parts = [
            sql.SQL("(phraseto_tsquery('english', {0}) || phraseto_tsquery('simple', {0}))").format(
                self._param(word)
            )
            for word in words
        ]
        return sql.SQL(
            "exists (select from search_document d where d.project_id = {} and {} "
            "and d.tsv @@ ({}))"
        ).format(
            sql.SQL(_PROJECTS[self._subject]),
            sql.SQL(_DOCUMENTS[self._subject]),
            sql.SQL(" && ").join(parts),
        )

    def _home(self, term: Term) -> Home:
        if term.field in ("since", "until"):
            return self._subject
        if term.field == "session" and self._subject == "session":
            return "session"
        if term.field in ("trace", "session", "tag") and self._subject == "feedback":
            return "feedback"
        return _HOMES.get(term.field, "trace")

    def _of(self, home: Home, condition: sql.Composable) -> sql.Composable:
        """Say that the condition holds of the line itself, or of something that belongs to it."""
        if home == self._subject:
            return sql.SQL("({})").format(condition)
        return sql.SQL(_EXISTS[self._subject, home]).format(condition)

    def _condition(self, term: Term) -> sql.Composable:
        if term.field in ("since", "until"):
            at = self._param(moment(term.values[0], self._now))
            sign = sql.SQL(">=" if term.field == "since" else "<")
            return sql.SQL("{} {} {}").format(sql.SQL(_TIMES[self._subject]), sign, at)
        if term.field == "has":
            return _any([sql.SQL(_HAS[value]) for value in term.values])
        if term.field == "reason":
            return self._in_list(sql.SQL("f.labels"), term.values)
        if term.field == "tag":
            return self._tagged(term)
        if term.field in DIMENSIONS:
            return self.placed(self.of_place(replace(term, negated=False)))
        if term.field == "document":
            return _any([self._in_context(value) for value in term.values])
        if term.field == "meta":
            return self._metadata(term)
        if term.field == "session" and self._subject == "feedback":
            return self._session_of_feedback(term)
        return self._compare(self._expression(term.field), term)

    def _expression(self, name: str) -> sql.Composable:
        if name == "trace" and self._subject == "feedback":
            return sql.SQL("f.trace_id")
        if name == "session" and self._subject == "session":
            return sql.SQL("s.id")
        return sql.SQL(_EXPRESSIONS[name])

    def _compare(self, expression: sql.Composable, term: Term) -> sql.Composable:
        kind = FIELDS[term.field].type
        if kind == "yes":
            return sql.SQL("{}" if yes(term.values[0]) else "(not {})").format(expression)
        if kind in ("number", "duration"):
            read: Callable[[str], float] = seconds if kind == "duration" else number
            sign = sql.SQL("=" if term.comparison == "is" else term.comparison)
            return _any(
                sql.SQL("{} {} {}").format(expression, sign, self._param(read(value)))
                for value in term.values
            )
        return self.text(expression, term.values)

    def text(self, expression: sql.Composable, values: Sequence[str]) -> sql.Composable:
        whole = [value for value in values if not _open_ended(value)]
        parts: list[sql.Composable] = [
            sql.SQL("starts_with({}, {})").format(expression, self._param(value[:-1]))
            for value in values
            if _open_ended(value)
        ]
        if len(whole) == 1:
            parts.append(sql.SQL("{} = {}").format(expression, self._param(whole[0])))
        elif whole:
            parts.append(sql.SQL("{} = any({})").format(expression, self._param(whole)))
        return _any(parts)

    def _tagged(self, term: Term) -> sql.Composable:
        """By the application on the trace, or by a member."""
        of_trace = self._in_list(sql.SQL("t.tags"), term.values)
        by_member = self.text(sql.SQL("m.tag"), term.values)
        if self._subject == "feedback":
            of_trace = sql.SQL(_EXISTS["feedback", "trace"]).format(of_trace)
        home: Home = "feedback" if self._subject == "feedback" else "trace"
        return _any([of_trace, sql.SQL(_TAGGED[home]).format(by_member)])

    def _in_list(self, expression: sql.Composable, values: Sequence[str]) -> sql.Composable:
        whole = [value for value in values if not _open_ended(value)]
        parts: list[sql.Composable] = [
            sql.SQL("exists (select from unnest({}) as item where starts_with(item, {}))").format(
                expression, self._param(value[:-1])
            )
            for value in values
            if _open_ended(value)
        ]
        if whole:
            parts.append(sql.SQL("{} && {}::text[]").format(expression, self._param(whole)))
        return _any(parts)

    def _in_context(self, value: str) -> sql.Composable:
        wanted, _, version = value.partition("@")
        conditions = [
            sql.SQL("item->>'kind' = 'document'"),
            self.text(sql.SQL("(item->>'name')"), [wanted]),
        ]
        if version:
            conditions.append(self.text(sql.SQL("(item->>'version')"), [version]))
        return sql.SQL(
            "exists (select from jsonb_array_elements(t.context) as item where {})"
        ).format(sql.SQL(" and ").join(conditions))

    def _metadata(self, term: Term) -> sql.Composable:
        key = self._param(term.key)
        if term.comparison != "is":
            return sql.SQL(
                "case when jsonb_typeof(t.metadata->{0}) = 'number' "
                "then (t.metadata->>{0})::numeric {1} {2} else false end"
            ).format(key, sql.SQL(term.comparison), self._param(number(term.values[0])))
        exact = self.text(sql.SQL("(t.metadata->>{})").format(key), term.values)
        if any(_open_ended(value) or value[0] in "{[" for value in term.values):
            return exact
        # An index holds values, not how they are written.
        held = [
            sql.SQL("t.metadata @> {}::jsonb").format(
                self._param(f"{{{json.dumps(term.key)}:{meant}}}")
            )
            for value in term.values
            for meant in _meanings(value)
        ]
        return sql.SQL("({} and {})").format(_any(held), exact)

    def _session_of_feedback(self, term: Term) -> sql.Composable:
        """On the session itself, or on one of its traces."""
        on_trace = self.text(sql.SQL("t.session_id"), term.values)
        return sql.SQL("({} or {})").format(
            self.text(sql.SQL("f.session_id"), term.values),
            sql.SQL(_EXISTS["feedback", "trace"]).format(on_trace),
        )

    def _param(self, value: object) -> sql.Placeholder:
        name = f"w{len(self.params)}"
        self.params[name] = value
        return sql.Placeholder(name)


def _meanings(value: str) -> list[str]:
    """Return what a word may stand for, as JSON: itself, a number, yes or no."""
    other = [value] if value in ("true", "false") or _NUMBER.fullmatch(value) else []
    return [json.dumps(value), *other]


def _all(parts: Iterable[sql.Composable]) -> sql.Composable | None:
    listed = list(parts)
    return sql.SQL(" and ").join(listed) if listed else None


def _open_ended(value: str) -> bool:
    return len(value) > 1 and value.endswith("*")


def _any(parts: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" or ").join(parts))
