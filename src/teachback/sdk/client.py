"""The client: what an application holds to trace its requests and to give feedback on them."""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Unpack

from teachback.core import tokens
from teachback.core.compose import Shape
from teachback.errors import Unavailable
from teachback.model.feedback import Source
from teachback.sdk import settings, wire
from teachback.sdk.delivery import Delivery
from teachback.sdk.feedback import FeedbackGroup, shared_fields
from teachback.sdk.frames import RecordKind
from teachback.sdk.guard import guarded, quiet, say_failure, say_once
from teachback.sdk.losses import Losses, OnError
from teachback.sdk.prompts import Prompts, PromptText
from teachback.sdk.queue import Queue
from teachback.sdk.recall import Asked, Facts, Recalled, Recaller
from teachback.sdk.records import encoded
from teachback.sdk.trace import Fields, Trace
from teachback.sdk.traced import traced
from teachback.sdk.transport import Transport

#: How long a request of the application waits for lessons of the server.
DEFAULT_RECALL_TIMEOUT_S = 0.3


def _settings(**given: Any) -> settings.Settings:
    """Return the settings; with arguments that make none, those of a client that is off."""
    try:
        return settings.load(**given)
    except Exception as error:
        say_failure("Client", error)
        return settings.OFF


def _unsent_trace(client: Client) -> Trace:
    """Return a trace that works for the application and counts as lost when it ends."""
    return Trace(lambda _: client._losses.add("unrenderable", "trace"))


def _unsent_feedback(client: Client) -> FeedbackGroup:
    return FeedbackGroup(lambda _: client._lose_feedback(), client._lose_feedback, {})


def _no_token(_: Client) -> str:
    return ""


def _nothing_recalled(_: Client) -> Recalled:
    return Recalled()


def _false(_: Client) -> bool:
    return False


P = ParamSpec("P")
R = TypeVar("R")


class Client:
    """Sends traces and feedback in the background; never raises into the application.

    One per process is enough; it may be used from any thread and survives `fork`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        environment: str | None = None,
        release: str | None = None,
        capture_content: bool | None = None,
        spool_dir: str | Path | None = None,
        max_spool_bytes: int = settings.DEFAULT_MAX_SPOOL_BYTES,
        flush_timeout_s: float = settings.DEFAULT_FLUSH_TIMEOUT_S,
        on_error: OnError | None = None,
        local_recall: bool = False,
        recall_timeout_s: float = DEFAULT_RECALL_TIMEOUT_S,
    ) -> None:
        """Connect to a server; without `url` or `key` (or their variables) nothing is sent.

        `on_error` is called from the background thread with a `DeliveryError` for each loss;
        `local_recall` keeps live lessons in this process (extra `edge`).
        """
        self.settings = _settings(
            url=url,
            key=key,
            environment=environment,
            release=release,
            capture_content=capture_content,
            spool_dir=spool_dir,
            max_spool_bytes=max_spool_bytes,
            flush_timeout_s=flush_timeout_s,
        )
        self._closed = not self.settings.enabled
        self._losses = Losses(on_error)
        self._queue = Queue(
            self.settings.spool_dir,
            destination=f"{self.settings.url} {self.settings.key}",
            max_bytes=self.settings.max_spool_bytes,
            losses=self._losses,
        )
        self._transport = Transport(self.settings.url, self.settings.key)
        self._delivery = Delivery(self._queue, self._transport, self._losses)
        self._recaller = Recaller(self.settings, local=local_recall, timeout_s=recall_timeout_s)
        self._prompts = Prompts(self.settings.url, self.settings.key)
        self._start()

    @guarded(_unsent_trace)
    def trace(
        self,
        query: object = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        turn: int | None = None,
        environment: str | None = None,
        role: str | None = None,
        surface: str | None = None,
        locale: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Trace:
        """Begin the trace of one request; use it with `with`, or call `end` on it."""
        trace = Trace(self._send_trace, query=query)
        trace.user_id, trace.session_id, trace.turn = user_id, session_id, turn
        trace.environment, trace.role, trace.surface = environment, role, surface
        trace.locale, trace.tags, trace.metadata = locale, tags, metadata
        return trace

    def traced(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call is a trace, or a span of the trace it runs in.

        The query is the argument named `query`, else the first; the output is what is returned.
        """
        return traced(self.trace, function)

    @guarded(_unsent_feedback)
    def feedback(
        self,
        trace_id: str | None = None,
        *,
        span_id: str | None = None,
        session_id: str | None = None,
        author: str | None = None,
        source: Source = "end_user",
        confidence: float | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> FeedbackGroup:
        """Give feedback on a trace, on a span of it, or on a session; now or months later.

        `occurred_at` is when it was given, now when absent.
        """
        shared = shared_fields(
            trace_id=trace_id,
            span_id=span_id,
            session_id=session_id,
            author=author,
            source=source,
            confidence=confidence,
            occurred_at=occurred_at,
            metadata=metadata,
        )
        return FeedbackGroup(self._send_feedback, self._lose_feedback, shared)

    @guarded(_no_token)
    def feedback_token(
        self,
        trace_id: str,
        *,
        user_id: str | None = None,
        lifetime_s: float = tokens.DEFAULT_LIFETIME_S,
    ) -> str:
        """Sign a token that lets a browser give feedback on this trace; needs no network."""
        return tokens.sign(self.settings.key, trace_id, user_id=user_id, lifetime_s=lifetime_s)

    def recall(self, query: object, *, limit: int = 10, **facts: Unpack[Facts]) -> Recalled:
        """Return lessons and cases near to a query; nothing when there is no answer in time."""
        return self._recall(query, limit, facts)

    async def arecall(self, query: object, *, limit: int = 10, **facts: Unpack[Facts]) -> Recalled:
        """Do what `recall` does, without holding up other tasks."""
        return await asyncio.to_thread(self._recall, query, limit, facts)

    def inject(self, messages: Sequence[Any], **facts: Unpack[Asked]) -> Any:
        """Return chat messages with what was learned; themselves when nothing fits or is known."""
        return self._recaller.inject({"messages": messages}, "chat", facts)["messages"]

    async def ainject(self, messages: Sequence[Any], **facts: Unpack[Asked]) -> Any:
        """Do what `inject` does, without holding up other tasks."""
        return (await self.ainject_body({"messages": messages}, **facts))["messages"]

    def inject_body(
        self, body: Mapping[str, Any], *, shape: Shape = "chat", **facts: Unpack[Asked]
    ) -> Mapping[str, Any]:
        """Return the arguments of a model call with what was learned in the protocol's place.

        `shape` is `chat` or `responses` (OpenAI), or `anthropic`.
        """
        return self._recaller.inject(body, shape, facts)

    async def ainject_body(
        self, body: Mapping[str, Any], *, shape: Shape = "chat", **facts: Unpack[Asked]
    ) -> Mapping[str, Any]:
        """Do what `inject_body` does, without holding up other tasks."""
        if self._recaller.is_local:
            return self._recaller.inject(body, shape, facts)
        return await asyncio.to_thread(self._recaller.inject, body, shape, facts)

    @guarded(_nothing_recalled)
    def _recall(self, query: object, limit: int, facts: Facts) -> Recalled:
        return self._recaller.recall(query, limit, facts)

    def prompt(
        self,
        name: str,
        *,
        fallback: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
    ) -> PromptText:
        """Return the text of a prompt in production, or in canary for some of the end users.

        Only the first use waits for the server, for up to three seconds; later ones get what is
        in memory, refreshed behind them, also while the server is away. With a `fallback` nothing
        is ever raised: it is returned when there is no text at all. Without one, raises NotFound
        or Unavailable then.
        """
        try:
            if not self.settings.enabled:
                raise Unavailable("nothing is read without a url and key")
            return self._prompts.get(name, user_id=user_id, session_id=session_id)
        except Exception as error:
            if fallback is None:
                raise
            say_failure("prompt", error)
            return PromptText(fallback, name=name, version="")

    @property
    def dropped(self) -> dict[tuple[str, str], int]:
        """How many records were lost, by (reason, kind)."""
        return self._losses.total()

    @guarded(_false)
    def flush(self, *, timeout_s: float = 5.0) -> bool:
        """Wait until everything recorded so far was delivered; False when it was not in time."""
        return self._closed or self._delivery.flush(timeout_s)

    @quiet
    def close(self, *, timeout_s: float | None = None) -> None:
        """Deliver what waits and stop; what cannot be sent stays in the spool for the next start.

        Called at the end of the program. Takes no longer than `timeout_s`, which is
        `flush_timeout_s` when absent, and not that long when the server is away.
        """
        if self._closed:
            return
        atexit.unregister(self.close)
        wait_s = self.settings.flush_timeout_s if timeout_s is None else timeout_s
        self._queue.hurry()
        self._delivery.flush(wait_s, leaving=True)
        self._closed = True
        self._delivery.stop()
        self._queue.close()
        self._recaller.close()

    def _start(self) -> None:
        if self._closed:
            say_once("teachback: no url and key, nothing is sent (TEACHBACK_URL, TEACHBACK_KEY)")
            return
        _clients.add(self)
        # Holds the client until it is closed: a forgotten one is delivered all the same.
        atexit.register(self.close)
        # Starts at once, so that what an earlier process left behind is delivered.
        self._notice()

    def _send_trace(self, trace: Trace) -> None:
        self._put("trace", lambda: wire.trace_fields(trace, self.settings))

    def _send_feedback(self, fields: Fields) -> None:
        self._put("feedback", lambda: wire.feedback_fields(fields, self.settings))

    def _notice(self) -> None:
        try:
            self._delivery.notice()
        except RuntimeError as error:  # no more threads, as at the end of a program
            say_failure("starting the sender", error)

    def _lose_feedback(self) -> None:
        self._losses.add("unrenderable", "feedback")

    def _put(self, kind: RecordKind, fields: Callable[[], Fields]) -> None:
        if self._closed:
            self._losses.add("shutdown", kind)
            return
        try:
            record = encoded(kind, fields())
        except Exception as error:
            self._losses.add("unrenderable", kind)
            say_failure(f"encoding a {kind}", error)
            return
        self._queue.put(record)
        self._notice()

    def _after_fork(self) -> None:
        self._losses.after_fork()
        self._queue.after_fork()
        self._transport.after_fork()
        self._prompts.after_fork()
        self._delivery.after_fork()
        self._recaller.after_fork()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        try:
            client._after_fork()
        except Exception as error:
            say_failure("fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
