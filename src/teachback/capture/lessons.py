"""Lessons on the wire: JSON of docs/reference/api.md."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from teachback.capture.native import Id, In, Time, decode
from teachback.errors import Invalid
from teachback.model.lesson import LessonKind, LessonState, Scope

#: An id of a lesson can stand in any path.
LessonId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: A situation is read whole by no embedding model beyond some 2,000 characters; a lesson of more
#: than some 1,000 tokens is a document.
Situation = Annotated[str, Meta(min_length=1, max_length=2_000)]
LessonText = Annotated[str, Meta(min_length=1, max_length=4_000)]
Answer = Annotated[str, Meta(min_length=1, max_length=8_000)]
Why = Annotated[str, Meta(min_length=1, max_length=1_000)]
Value = Annotated[str, Meta(min_length=1, max_length=200)]
Values = Annotated[tuple[Value, ...], Meta(max_length=50)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
Provenance = Annotated[tuple[Id, ...], Meta(max_length=200)]


class ScopeIn(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    roles: Values = ()
    environments: Values = ()
    surfaces: Values = ()
    locales: Values = ()
    models: Values = ()
    prompts: Values = ()
    topics: Values = ()

    def scope(self) -> Scope:
        return Scope(**structs.asdict(self))


class LessonIn(In):
    kind: LessonKind
    situation: Situation
    id: LessonId | None = None
    text: LessonText | None = None
    answer: Answer | None = None
    scope: ScopeIn = ScopeIn()
    priority: Priority = 0
    expires_at: Time | None = None
    provenance: Provenance = ()
    reason: Annotated[str, Meta(max_length=1_000)] = ""


class LessonChangeIn(In):
    situation: Situation | UnsetType = UNSET
    text: LessonText | UnsetType = UNSET
    answer: Answer | UnsetType = UNSET
    scope: ScopeIn | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET
    provenance: Provenance | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=1_000)] = ""


class MoveIn(In):
    state: LessonState
    reason: Why
    #: The version that was read; needed to approve.
    version: int | None = None
    despite: Annotated[tuple[LessonId, ...], Meta(max_length=50)] = ()


class SupersedeIn(In):
    by: LessonId
    reason: Why


class ReasonIn(In):
    reason: Why


class SwitchIn(In):
    off: bool
    reason: Why


#: For the description of the API.
SHAPES = (LessonIn, LessonChangeIn, MoveIn, SupersedeIn, ReasonIn, SwitchIn)


def decode_lesson(raw: bytes) -> LessonIn:
    """Decode a new lesson; raises Invalid."""
    sent = decode(raw, LessonIn)
    if sent.text is None and sent.kind != "example":
        raise Invalid(
            "text", rule=f"a {sent.kind} has words that go into the prompt",
            fix="Send them in `text`",
        )  # fmt: skip
    return sent
