"""A trace: one request with its whole trail, from the end user's query to the output."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from teachback.model.recall import Injection

Environment = Literal["dev", "test", "prod"]
ContextKind = Literal["system_prompt", "document", "tool", "message"]

#: Anything JSON can say.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
#: Free metadata: whatever JSON can say under each key, in a form that decoders understand.
Metadata = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextItem:
    """One layer of what the model was given besides the query, in the order given."""

    kind: ContextKind
    #: Prompt name, document id, tool name, or the role of an earlier message.
    name: str = ""
    #: Version of the prompt or document; a new one is an event that marks trends.
    version: str = ""
    #: The text itself; stored once per project by its hash.
    content: str | None = None
    #: `sha256:<hex>` of the content; on input it may stand instead of a content sent before.
    content_hash: str | None = None
    #: Retrieval score of a document.
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One step inside a trace."""

    id: str
    name: str
    parent_id: str | None = None
    #: GenAI operation: chat, retrieval, execute_tool, …; free text.
    kind: str = ""
    started_at: datetime | None = None
    latency_ms: float | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One request of an application to a model, with everything that shaped the answer."""

    id: str
    #: What the end user asked.
    query: str
    #: What the model answered; None when it failed.
    output: str | None = None
    context: tuple[ContextItem, ...] = ()
    spans: tuple[Span, ...] = ()
    started_at: datetime
    #: When our server accepted it.
    received_at: datetime | None = None
    session_id: str | None = None
    #: Position in the session, from 1.
    turn: int | None = None
    request_model: str | None = None
    response_model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    cost_usd: float | None = None
    error: str | None = None
    environment: Environment = "prod"
    #: The end user, as a pseudonym.
    user_id: str | None = None
    #: The end user's role in the application.
    role: str | None = None
    #: Where in the application: "web chat", "e-mail", …
    surface: str | None = None
    #: BCP 47 tag.
    locale: str | None = None
    #: Version of the application.
    release: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata | None = None
    #: Lessons that the application itself chose for it, given or held back.
    injections: tuple[Injection, ...] = ()
    #: Characters the database cannot hold were replaced by U+FFFD.
    sanitized: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A conversation of several turns."""

    id: str
    user_id: str | None
    environment: Environment
    started_at: datetime
    ended_at: datetime
    turns: int

    @property
    def duration_s(self) -> float:
        """Seconds from the first turn's start to the last's."""
        return (self.ended_at - self.started_at).total_seconds()
