"""What the assistant says, and what it was given to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GivenKind = Literal["system_prompt", "document", "tool", "message"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """One layer of the context that stood before an answer."""

    kind: GivenKind
    #: Prompt name, document id, tool name, or the role of an earlier message.
    name: str
    content: str
    version: str = ""
    #: How well a document fitted the question.
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer with the whole context behind it."""

    text: str
    given: tuple[Given, ...]
    #: What worded it.
    model: str
    latency_ms: float
    search_ms: float
    input_tokens: int
    output_tokens: int
    #: Why the model was not used although there is one.
    error: str | None = None
