"""A lesson: what was learned from feedback, in words that may reach a prompt once approved."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from teachback.model.project import Role

LessonKind = Literal["guidance", "fact", "template", "example"]
LessonState = Literal["draft", "approved", "canary", "live", "retired"]
LessonAction = Literal[
    "drafted", "edited", "approved", "declined", "moved", "superseded", "killed", "revived"
]
ActorKind = Literal["member", "key", "system"]

#: States in which a lesson reaches prompts.
IN_FORCE: tuple[LessonState, ...] = ("canary", "live")


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who does something to a lesson."""

    kind: ActorKind
    id: str
    name: str
    #: A member's role in the project.
    role: Role | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Where a lesson holds: for each dimension one of these values, or everywhere when empty."""

    roles: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonVersion:
    """One wording of a lesson, never changed."""

    version: int
    #: The kind of query it is for; what is compared with a new query.
    situation: str
    #: What is put into the prompt.
    text: str
    #: The good answer to the situation; examples only.
    answer: str | None = None
    scope: Scope = field(default_factory=Scope)
    #: Of two lessons that fit alike, the one with more goes first.
    priority: int = 0
    expires_at: datetime | None = None
    #: Ids of the feedback it was learned from.
    provenance: tuple[str, ...] = ()
    #: Name of who wrote it.
    author: str
    #: Why it was written.
    reason: str = ""
    created_at: datetime
    approved_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """A lesson with the wording in force, or with its latest draft before the first approval."""

    id: str
    project_id: str
    kind: LessonKind
    state: LessonState
    version: int
    situation: str
    text: str
    answer: str | None = None
    scope: Scope = field(default_factory=Scope)
    priority: int = 0
    provenance: tuple[str, ...] = ()
    author: str
    reason: str = ""
    expires_at: datetime | None = None
    #: When this wording was approved; None is a draft.
    approved_at: datetime | None = None
    #: A later version that waits for approval.
    pending: int | None = None
    #: The highest version number given out.
    latest: int
    #: The lesson that takes its place; the two are never in force together.
    superseded_by: str | None = None
    #: Its kill switch: in no prompt until it is revived.
    killed_at: datetime | None = None
    #: Answers with this lesson that were judged good and bad.
    helpful: int = 0
    harmful: int = 0
    created_at: datetime
    updated_at: datetime

    @property
    def is_in_force(self) -> bool:
        """Whether its state lets it into prompts; expiry and kill switches aside."""
        return self.state in IN_FORCE


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonEvent:
    """Something that was done to a lesson, or to the project's switch; appended, never changed."""

    id: str
    #: None: it was done to the switch of all lessons.
    lesson_id: str | None
    at: datetime
    action: LessonAction
    from_state: LessonState | None = None
    to_state: LessonState | None = None
    version: int | None = None
    actor: Actor
    reason: str
