"""What recall is asked over the wire: a query with its facts, or a body of a known protocol."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from teachback.capture.native import Id, In, Word, decode
from teachback.core.compose import Shape, query_of
from teachback.errors import Invalid
from teachback.model.recall import Ask
from teachback.model.trace import Environment


class _Facts(In):
    query: str | None = None
    model: Word | None = None
    prompt: Word | None = None
    environment: Environment = "prod"
    role: Word | None = None
    surface: Word | None = None
    locale: Word | None = None
    topics: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    user_id: Id | None = None
    session_id: Id | None = None
    trace_id: Id | None = None


class RecallIn(_Facts):
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class InjectIn(_Facts):
    shape: Shape = "chat"
    messages: list[Any] | None = None
    input: str | list[Any] | None = None
    system: Any = None
    instructions: str | None = None


def decode_recall(raw: bytes) -> tuple[Ask, int]:
    """Decode a query and how many answers it wants; raises Invalid."""
    wire = decode(raw, RecallIn)
    return _ask(wire, wire.query), wire.limit


def decode_inject(raw: bytes) -> tuple[Ask, InjectIn]:
    """Decode what is asked for and the places that a block may go to; raises Invalid."""
    wire = decode(raw, InjectIn)
    query = wire.query
    if query is None:
        query = query_of({"messages": wire.messages, "input": wire.input}, wire.shape)
    return _ask(wire, query or None), wire


def body_of(wire: InjectIn) -> dict[str, Any]:
    """Return the parts of a provider's body that were sent, to be composed."""
    sent = msgspec.structs.asdict(wire)
    return {name: sent[name] for name in _PLACES[wire.shape] if sent[name] is not None}


_PLACES: dict[Shape, tuple[str, ...]] = {
    "chat": ("messages",),
    "responses": ("instructions", "input"),
    "anthropic": ("system", "messages"),
}


def _ask(wire: _Facts, query: str | None) -> Ask:
    if query is None:
        raise Invalid(
            "query", rule="it says what the end user asked",
            fix="Send it, or messages with a turn of the user",
        )  # fmt: skip
    return Ask(
        query=query, model=wire.model, prompt=wire.prompt, environment=wire.environment,
        role=wire.role, surface=wire.surface, locale=wire.locale, topics=wire.topics,
        user_id=wire.user_id, session_id=wire.session_id, trace_id=wire.trace_id,
    )  # fmt: skip
