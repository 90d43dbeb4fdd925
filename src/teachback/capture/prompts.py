"""Prompts on the wire: JSON of docs/reference/api.md."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from teachback.capture.lessons import LessonId, Why
from teachback.capture.native import In
from teachback.model.prompt import PromptState

#: A name can stand in any path.
PromptName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class PromptIn(In):
    name: PromptName
    text: str
    reason: Annotated[str, Meta(max_length=1_000)] = ""
    based_on: int | None = None


class PromptMoveIn(In):
    state: PromptState
    reason: Why


class MergeIn(In):
    lesson_id: LessonId
    reason: Annotated[str, Meta(max_length=1_000)] = ""


#: For the description of the API.
SHAPES = (PromptIn, PromptMoveIn, MergeIn)
