"""How lessons look in answers: the fields of docs/reference/api.md, absent ones left out."""

from __future__ import annotations

from dataclasses import asdict

from teachback.act.likeness import Like
from teachback.model.lesson import Lesson, LessonEvent, LessonVersion, Scope
from teachback.server.api.views import JsonObject, plain


def lesson_view(lesson: Lesson) -> JsonObject:
    """Show a lesson with the wording in force, or its latest draft."""
    value = plain(lesson) | {"scope": scope_view(lesson.scope)}
    del value["project_id"]
    return value


def lesson_in_force_view(lesson: Lesson) -> JsonObject:
    """Show what recall needs of a lesson: not who wrote it, nor what it was learned from."""
    value = lesson_view(lesson)
    return {name: value[name] for name in value if name not in _CURATED}


_CURATED = ("provenance", "author", "reason", "pending", "latest", "created_at")


def version_view(version: LessonVersion) -> JsonObject:
    return plain(version) | {"scope": scope_view(version.scope)}


def scope_view(scope: Scope) -> JsonObject:
    return {name: list(values) for name, values in asdict(scope).items() if values}


def event_view(event: LessonEvent) -> JsonObject:
    """Show who did what, when and why."""
    actor = {"kind": event.actor.kind, "id": event.actor.id, "name": event.actor.name}
    return plain(event) | {"actor": actor}


def like_view(like: Like) -> JsonObject:
    return asdict(like)
