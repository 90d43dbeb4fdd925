"""Small makers of records, for every test that sends some."""

from __future__ import annotations

from typing import Any


def trace(trace_id: str | None, **fields: Any) -> dict[str, Any]:
    """A small trace."""
    made = {"id": trace_id} if trace_id is not None else {}
    return made | {
        "query": "How do I export my invoices?",
        "output": "Open Reports and press Export.",
        "request_model": "gpt-x",
        "started_at": "2026-03-01T12:00:00Z",
    } | fields  # fmt: skip


def rating(trace_id: str, score: float, **fields: Any) -> dict[str, Any]:
    """A thumb."""
    return {"kind": "rating", "trace_id": trace_id, "score": score, "scale": "thumbs"} | fields
