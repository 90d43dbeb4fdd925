"""The facts of a trace beside its texts: where, for whom, by which model, at what price."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from teachback.model.trace import Trace
from teachback.server.console.views.cases import cases
from teachback.server.console.views.formats import count, dollars, milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One label with its value, and where the value leads."""

    label: str
    value: str
    #: What stands muted behind the value.
    note: str = ""
    #: Address of the list that shows more of the same.
    more: str = ""


def facts(trace: Trace) -> tuple[Fact, ...]:
    """Return what is known about a trace; unknown facts are left out."""
    return (*_whereabouts(trace), *_model(trace), *_measures(trace))


def metadata_json(metadata: object) -> str | None:
    """Return free metadata as indented JSON, or None when there is none."""
    return json.dumps(metadata, indent=2, ensure_ascii=False) if metadata else None


def _whereabouts(trace: Trace) -> Iterator[Fact]:
    if trace.user_id:
        more = cases("/feedback", ("author", trace.user_id))
        yield Fact(label="End user", value=trace.user_id, note=trace.role or "", more=more)
    elif trace.role:
        yield Fact(label="Role", value=trace.role)
    if trace.surface:
        yield Fact(label="Surface", value=trace.surface, note=trace.locale or "")
    elif trace.locale:
        yield Fact(label="Locale", value=trace.locale)
    if trace.release:
        yield Fact(label="Release", value=trace.release)


def _model(trace: Trace) -> Iterator[Fact]:
    model = trace.response_model or trace.request_model
    if not model:
        return
    asked = trace.request_model
    differs = trace.response_model and asked and asked != trace.response_model
    note = f"asked for {asked}" if differs else trace.provider or ""
    yield Fact(label="Model", value=model, note=note)


def _measures(trace: Trace) -> Iterator[Fact]:
    if trace.input_tokens is not None or trace.output_tokens is not None:
        yield Fact(label="Tokens", value=_tokens(trace))
    if trace.latency_ms is not None:
        first = trace.first_token_ms
        note = f"first token {milliseconds(first)}" if first is not None else ""
        yield Fact(label="Latency", value=milliseconds(trace.latency_ms), note=note)
    if trace.cost_usd is not None:
        yield Fact(label="Cost", value=dollars(trace.cost_usd))


def _tokens(trace: Trace) -> str:
    parts = [
        f"{count(tokens)} {way}"
        for tokens, way in ((trace.input_tokens, "in"), (trace.output_tokens, "out"))
        if tokens is not None
    ]
    return " · ".join(parts)
