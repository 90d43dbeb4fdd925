"""A trace as the fields of the HTTP API; without its content where that is not wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from teachback.sdk import render
from teachback.sdk.settings import Settings, as_environment
from teachback.sdk.trace import Fields, Span, Trace

#: `query` is required; this stands for one that was left out on purpose.
NOT_CAPTURED = "[not captured]"
#: Stands for each character of a quotation, whose length the server checks.
HIDDEN_CHARACTER = "█"

#: Values of our own making, ready to be encoded.
_EXACT = ("id", "kind", "occurred_at")


def trace_fields(trace: Trace, settings: Settings) -> Fields:
    """Return what is sent of a trace."""
    captured = settings.capture_content
    fields: Fields = {"id": trace.id, "started_at": render.as_moment(trace.started_at)}
    fields["query"] = (render.as_text(trace.query) or "") if captured else NOT_CAPTURED
    fields["output"] = render.as_text(trace.output) if captured else None
    fields["error"] = _error(trace.error, captured=captured)
    for names, convert in _PLAIN:
        for name in names:
            if (value := getattr(trace, name)) is not None:
                fields[name] = convert(value)
    fields["tags"] = render.as_words(trace.tags)
    fields["metadata"] = render.as_object(trace.metadata)
    fields["context"] = [_context(item, captured=captured) for item in trace.context] or None
    fields["spans"] = [_span(span, captured=captured) for span in trace.spans] or None
    return _with_defaults(fields, trace, settings)


def feedback_fields(said: Fields, settings: Settings) -> Fields:
    """Return what is sent of a judgement; without content an annotation keeps its place alone."""
    fields: Fields = {
        name: value if name in _EXACT else render.as_json(value) for name, value in said.items()
    }
    if not settings.capture_content and isinstance(selector := fields.get("selector"), dict):
        hidden = HIDDEN_CHARACTER * len(str(selector.get("exact") or ""))
        fields["selector"] = {**selector, "exact": hidden, "prefix": "", "suffix": ""}
    return fields


def _with_defaults(fields: Fields, trace: Trace, settings: Settings) -> Fields:
    fields["environment"] = as_environment(trace.environment, default=settings.environment)
    fields["release"] = fields.get("release") or settings.release
    return fields


def _context(item: Mapping[str, object], *, captured: bool) -> Fields:
    fields: Fields = {"kind": item["kind"], "score": render.as_number(item["score"])}
    fields["name"] = render.as_word(item["name"])
    fields["version"] = render.as_word(item["version"])
    fields["content"] = (render.as_text(item["content"]) or "") if captured else None
    return {name: value for name, value in fields.items() if value is not None}


def _span(span: Span, *, captured: bool) -> Fields:
    fields: Fields = {
        "id": span.id,
        "name": render.as_word(span.name) or "span",
        "parent_id": span.parent_id,
        "kind": render.as_word(span.kind),
        "started_at": render.as_moment(span.started_at),
        "latency_ms": render.as_number(span.latency_ms),
        "input": render.as_text(span.input) if captured else None,
        "output": render.as_text(span.output) if captured else None,
        "error": _error(span.error, captured=captured),
        "metadata": render.as_object(span.metadata),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _error(error: object, *, captured: bool) -> str | None:
    """Return what went wrong; without content only its type, messages quote what they choke on."""
    if error is None or captured:
        return render.as_text(error)
    return type(error).__name__ if isinstance(error, BaseException) else "error"


def _id(value: object) -> str | None:
    """Return an id; an empty one names nothing."""
    return render.as_text(value) or None


def _count(value: object) -> int | None:
    number = render.as_number(value)
    return None if number is None else int(number)


_WORDS = ("request_model", "response_model", "provider", "role", "surface", "locale", "release")
_IDS = ("session_id", "user_id")
_COUNTS = ("turn", "input_tokens", "output_tokens")
_NUMBERS = ("latency_ms", "first_token_ms", "cost_usd")
_PLAIN: tuple[tuple[tuple[str, ...], Callable[[object], object]], ...] = (
    (_WORDS, render.as_word),
    (_IDS, _id),
    (_COUNTS, _count),
    (_NUMBERS, render.as_number),
)
