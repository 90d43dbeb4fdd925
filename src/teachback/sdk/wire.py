"""A trace as the fields of the HTTP API; without its content where that is not wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime

from teachback.sdk import render
from teachback.sdk.settings import Settings, as_environment
from teachback.sdk.trace import Fields, Span, Trace

#: `query` is required; this stands for one that was left out on purpose.
NOT_CAPTURED = "[not captured]"
#: Stands for each character of a quotation, whose length the server checks.
HIDDEN_CHARACTER = "█"

#: Types that are ready to be encoded as they are.
_READY = (str, bool, int, float, datetime)


def trace_fields(trace: Trace, settings: Settings) -> Fields:
    """Return what is sent of a trace; what says nothing is left out."""
    captured = settings.capture_content
    fields: Fields = {
        "query": (render.as_text(trace.query) or "") if captured else NOT_CAPTURED,
        "environment": as_environment(trace.environment, default=settings.environment),
    }
    if settings.release is not None:
        fields["release"] = settings.release
    _copy(trace, _TRACE, fields)
    _copy(trace, _CONTENT if captured else _NO_CONTENT, fields)
    if trace.context:
        fields["context"] = [_context(item, captured=captured) for item in trace.context]
    if trace.spans:
        fields["spans"] = [_span(span, captured=captured) for span in trace.spans]
    if trace.injections:
        fields["injections"] = [asdict(injection) for injection in trace.injections]
    return fields


def feedback_fields(said: Fields, settings: Settings) -> Fields:
    """Return what is sent of a judgement; without content an annotation keeps its place alone."""
    fields: Fields = {
        name: value if type(value) in _READY else render.as_json(value)
        for name, value in said.items()
    }
    if not settings.capture_content and isinstance(selector := fields.get("selector"), dict):
        hidden = HIDDEN_CHARACTER * len(str(selector.get("exact") or ""))
        fields["selector"] = {**selector, "exact": hidden, "prefix": "", "suffix": ""}
    return fields


def _copy(source: Trace | Span, table: Table, fields: Fields) -> None:
    for name, convert in table:
        value = getattr(source, name, None)
        if value is not None and (converted := convert(value)) is not None:
            fields[name] = converted


def _context(item: Mapping[str, object], *, captured: bool) -> Fields:
    fields: Fields = {"kind": item["kind"]}
    if captured:
        fields["content"] = render.as_text(item["content"]) or ""
    for name in ("name", "version"):
        if (word := render.as_word(item[name])) is not None:
            fields[name] = word
    if (score := render.as_number(item["score"])) is not None:
        fields["score"] = score
    return fields


def _span(span: Span, *, captured: bool) -> Fields:
    fields: Fields = {"name": "span"}
    _copy(span, _SPAN, fields)
    _copy(span, _SPAN_CONTENT if captured else _NO_CONTENT, fields)
    return fields


def _error_type(error: object) -> str:
    """Return what went wrong without what was said: messages quote what they choke on."""
    return type(error).__name__ if isinstance(error, BaseException) else "error"


def _id(value: object) -> str | None:
    """Return an id; an empty one names nothing."""
    return render.as_text(value) or None


def _count(value: object) -> int | None:
    number = render.as_number(value)
    return None if number is None else int(number)


Table = tuple[tuple[str, Callable[[object], object]], ...]

_TRACE: Table = (
    ("id", _id),
    ("started_at", render.as_moment),
    ("latency_ms", render.as_number),
    ("session_id", _id),
    ("user_id", _id),
    ("turn", _count),
    ("request_model", render.as_word),
    ("response_model", render.as_word),
    ("provider", render.as_word),
    ("input_tokens", _count),
    ("output_tokens", _count),
    ("first_token_ms", render.as_number),
    ("cost_usd", render.as_number),
    ("role", render.as_word),
    ("surface", render.as_word),
    ("locale", render.as_word),
    ("release", render.as_word),
    ("tags", render.as_words),
    ("metadata", render.as_object),
)
_CONTENT: Table = (("output", render.as_text), ("error", render.as_text))
_NO_CONTENT: Table = (("error", _error_type),)
_SPAN: Table = (
    ("id", _id),
    ("name", render.as_word),
    ("kind", render.as_word),
    ("parent_id", _id),
    ("started_at", render.as_moment),
    ("latency_ms", render.as_number),
    ("metadata", render.as_object),
)
_SPAN_CONTENT: Table = (("input", render.as_text), *_CONTENT)
