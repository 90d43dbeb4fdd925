"""The addresses of providers' protocols: how each is asked, read, and given lessons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from teachback.capture.anthropic import MessagesAnswer, messages_question
from teachback.llm.upstream import Protocol
from teachback.sdk.answers import (
    Answer,
    ChatAnswer,
    Question,
    ResponsesAnswer,
    chat_question,
    get,
    responses_question,
)
from teachback.server.gateway import splice
from teachback.server.gateway.splice import Members


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """What is recorded at an address, and can take lessons."""

    question: Callable[[Mapping[str, object]], Question]
    answer: Callable[[], Answer]
    #: Puts a text into the system context of a request.
    place: Callable[[Members, str], None]
    #: Data that ends a stream, and types of events that do.
    end: bytes = b""
    last_events: tuple[str, ...] = ()
    #: A stream tells its usage only when it is asked to.
    asks_usage: bool = False

    def is_last(self, data: bytes, event: object) -> bool:
        """Tell whether an event is the last one of a stream."""
        return data == self.end if self.end else get(event, "type") in self.last_events


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One address of a protocol."""

    protocol: Protocol
    #: Below the upstream's address.
    path: str
    #: None where answers pass unread: embeddings, counts, lists of models.
    talk: Talk | None = None


CHAT = Endpoint(
    protocol="openai",
    path="/chat/completions",
    talk=Talk(
        question=chat_question, answer=ChatAnswer, place=splice.into_chat, end=b"[DONE]",
        asks_usage=True,
    ),
)  # fmt: skip
RESPONSES = Endpoint(
    protocol="openai",
    path="/responses",
    talk=Talk(
        question=responses_question, answer=ResponsesAnswer, place=splice.into_responses,
        last_events=(
            "response.completed", "response.incomplete", "response.failed", "error",
        ),
    ),
)  # fmt: skip
EMBEDDINGS = Endpoint(protocol="openai", path="/embeddings")
MESSAGES = Endpoint(
    protocol="anthropic",
    path="/v1/messages",
    talk=Talk(
        question=messages_question, answer=MessagesAnswer, place=splice.into_system,
        last_events=("message_stop", "error"),
    ),
)  # fmt: skip
COUNT_TOKENS = Endpoint(protocol="anthropic", path="/v1/messages/count_tokens")
#: Lists of models, which both protocols keep at one address of ours.
MODELS: dict[Protocol, str] = {"openai": "/models", "anthropic": "/v1/models"}
