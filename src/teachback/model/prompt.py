"""A prompt: a named system prompt, whose versions go the way of lessons into production."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from teachback.model.lesson import Actor, LessonState

PromptState = LessonState
PromptAction = Literal["drafted", "approved", "moved", "replaced"]
#: What an application asks for: `production` is the live version, `canary` the one being tried.
PromptLabel = Literal["production", "canary"]
LABELS: dict[PromptState, PromptLabel] = {"live": "production", "canary": "canary"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptVersion:
    """One frozen text of a prompt, and where it stands."""

    name: str
    #: From 1.
    version: int
    text: str
    state: PromptState
    #: The version it was made from.
    based_on: int | None = None
    #: Ids of the lessons that were merged into it.
    lesson_ids: tuple[str, ...] = ()
    author: str
    reason: str = ""
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A prompt as a list shows it."""

    name: str
    production: int | None
    canary: int | None
    latest: int
    #: Versions that wait for approval.
    drafts: int
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptEvent:
    """Something that was done to a version; appended, never changed."""

    id: str
    name: str
    version: int
    at: datetime
    action: PromptAction
    from_state: PromptState | None = None
    to_state: PromptState
    actor: Actor
    reason: str
