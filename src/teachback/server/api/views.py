"""How records look in answers: the fields of docs/reference/api.md, absent ones left out."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from teachback.model.feedback import Feedback
from teachback.model.project import Key, Project
from teachback.model.recall import Injection
from teachback.model.trace import Session, Trace
from teachback.record.trail import Judgement
from teachback.store.database import Row
from teachback.store.feedback import from_row
from teachback.store.injections import StoredInjection

JsonObject = dict[str, Any]


def trace_view(trace: Trace) -> JsonObject:
    """Show a trace with what it holds of context and spans."""
    value = plain(trace)
    value["context"] = [plain(item) for item in trace.context]
    value["spans"] = [plain(span) for span in trace.spans]
    return value


def feedback_view(feedback: Feedback) -> JsonObject:
    """Show a single judgement."""
    value = plain(feedback)
    if feedback.selector is not None:
        value["selector"] = plain(feedback.selector)
    return value


def row_view(row: Row) -> JsonObject:
    """Show a judgement of a list."""
    return feedback_view(from_row(row)) | {
        "negative": row["negative"],
        "matched": row["matched"],
    }


def judgement_view(judgement: Judgement) -> JsonObject:
    """Show a judgement with its history, thread and tracked change."""
    value = feedback_view(judgement.feedback) | {
        "negative": judgement.negative,
        "matched": judgement.matched,
        "history": [feedback_view(earlier) for earlier in judgement.history],
        "thread": [plain(entry) for entry in judgement.thread],
    }
    if judgement.changes is not None:
        value["changes"] = [list(change) for change in judgement.changes]
    return value


def session_view(session: Session) -> JsonObject:
    """Show a session with its duration."""
    return plain(session) | {"duration_s": session.duration_s}


def change_view(row: Row) -> JsonObject:
    """Show the first appearance of a version."""
    return {name: row[name] for name in ("kind", "name", "version", "first_seen_at")}


def project_view(project: Project) -> JsonObject:
    return {
        "id": project.id,
        "name": project.name,
        "reasons": [plain(reason) for reason in project.reasons],
        "metrics": [asdict(metric) for metric in project.metrics],
        "recall": project.recall.flat(),
        "keep_days": project.keep_days,
        "created_at": project.created_at,
    }


def key_view(key: Key) -> JsonObject:
    return plain(key)


def injection_view(injection: Injection) -> JsonObject:
    """Show a lesson that was considered for a request; a place of null was left out."""
    return asdict(injection)


def stored_injection_view(stored: StoredInjection) -> JsonObject:
    """Show an injection with the wording of its lesson at that time."""
    return injection_view(stored.injection) | {
        "at": stored.at, "kind": stored.kind, "text": stored.text, "answer": stored.answer,
    }  # fmt: skip


def plain(record: object) -> JsonObject:
    """Return the fields that hold something; false and zero do, nothing and no items do not."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value not in (None, ())}
