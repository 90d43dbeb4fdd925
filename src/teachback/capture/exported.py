"""Our own export format: records as the API shows them, and as cells of a table."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from teachback.capture import json
from teachback.capture.mapping import Mapped, Object
from teachback.capture.native import FeedbackIn, TraceIn
from teachback.capture.rows import Members
from teachback.errors import Invalid
from teachback.model.trace import Json

#: What the server adds to a record; an import leaves it to the next server.
_ADDED = {"object", "received_at", "sanitized", "negative", "matched", "history", "thread",
          "changes", "feedback"}  # fmt: skip
TEXT = "text"
TIME = "time"
NUMBER = "number"
COUNT = "count"
TRUTH = "truth"
#: Lists and objects: JSON in one cell.
NESTED = "nested"
_TYPES = {
    "started_at": TIME, "occurred_at": TIME,
    "score": NUMBER, "confidence": NUMBER, "latency_ms": NUMBER, "first_token_ms": NUMBER,
    "cost_usd": NUMBER, "turn": COUNT, "input_tokens": COUNT, "output_tokens": COUNT,
    "withdrawn": TRUTH, "negative": TRUTH,
    "context": NESTED, "spans": NESTED, "tags": NESTED, "labels": NESTED, "selector": NESTED,
    "metadata": NESTED,
}  # fmt: skip
_FIELDS: dict[Object, tuple[str, ...]] = {
    "trace": TraceIn.__struct_fields__,
    "feedback": (*FeedbackIn.__struct_fields__, "negative"),
}
#: A spreadsheet takes a cell that begins so for a formula; ours begins with an apostrophe then.
_FORMULA = re.compile(r"'*[=+\-@\t\r\0]")


def columns(kind: Object) -> dict[str, str]:
    """Return the columns of a table of records with what each holds; the kind comes first."""
    names = sorted(_FIELDS[kind], key=lambda name: name != "id")
    return {"object": TEXT} | {name: _TYPES.get(name, TEXT) for name in names}


def to_cells(kind: Object, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the API shows it as a row of a table: what is nested becomes JSON."""
    record = {"object": kind} | record
    return {
        name: _nested(record[name]) if holds == NESTED else record[name]
        for name, holds in columns(kind).items()
        if record.get(name) is not None
    }


def _nested(value: object) -> str:
    return msgspec.json.encode(value).decode()


def guard(value: Any) -> str:
    """Write a value as a cell of CSV that no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{text}" if _FORMULA.match(text) else text


def _unguarded(cell: Json) -> Json:
    if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell):
        return cell[1:]
    return cell


def read_exported(members: Members, *, guarded: bool) -> Mapped:
    """Return the record of a row in our own format; raises Invalid.

    `guarded` takes the apostrophes of `guard` away again.
    """
    values = {
        name: _unguarded(value) if guarded else value
        for name, value in members.items()
        if value is not None
    }
    kind = _kind(values)
    if kind == "trace":
        values.setdefault("query", "")  # an empty cell
    return Mapped(
        kind,
        {name: _typed(name, value) for name, value in values.items() if name not in _ADDED},
    )


def _kind(values: Members) -> Object:
    kind = values.get("object") or ("feedback" if "kind" in values else "trace")
    if kind not in _FIELDS or (
        kind == "trace" and "object" not in values and "query" not in values
    ):
        raise Invalid(
            "object", rule="without a mapping, a row is a trace or a feedback of the API",
            fix="Name a mapping with --mapping, or write `object`",
        )  # fmt: skip
    return kind


def _typed(name: str, value: Json) -> Json:
    if isinstance(value, str) and _TYPES.get(name, TEXT) not in (TEXT, TIME):
        return cast(Json, json.loads(value.encode(), name))
    return value
