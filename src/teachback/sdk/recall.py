"""Recall in the application: ask what was learned, and add it to a request before it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypedDict

from teachback.core.compose import Shape, into, query_of
from teachback.model.ids import new_id
from teachback.model.recall import Ask
from teachback.sdk import render
from teachback.sdk.guard import say_failure, say_once
from teachback.sdk.lookup import Lookup
from teachback.sdk.settings import Settings, as_environment
from teachback.sdk.trace import Trace, current_trace

if TYPE_CHECKING:
    from teachback.sdk.edge import Edge

#: Injections of one trace that are sent with it; an agent may ask for lessons many times.
MAX_INJECTIONS = 200


class Facts(TypedDict, total=False):
    """What is known of a request; what the trace around it says need not be said again."""

    model: object
    #: Name of the system prompt, or `name@version`.
    prompt: object
    environment: object
    role: object
    surface: object
    locale: object
    topics: Iterable[str] | None
    user_id: object
    session_id: object


class Asked(Facts, total=False):
    """The same with the query, where that is not an argument of its own."""

    #: The end user's question; the last turn of the user when absent.
    query: object


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """What was learned that is near to a query."""

    #: Whether any of it would be given.
    fits: bool = False
    #: Lessons with `score`, `position` (None when left out) and `reason`, as the API has them.
    lessons: tuple[dict[str, Any], ...] = ()
    #: Exchanges like it in which something was wrong.
    cases: tuple[dict[str, Any], ...] = ()
    #: False when the server did not answer in time.
    answered: bool = False


class Recaller:
    """Asks the server, or decides here when its lessons are synchronised."""

    def __init__(self, settings: Settings, *, local: bool, timeout_s: float) -> None:
        self._settings = settings
        self._lookup = Lookup(settings.url, settings.key, timeout_s)
        self._edge = _edge(settings) if local and settings.enabled else None

    @property
    def is_local(self) -> bool:
        """Whether the next request needs no network."""
        return self._edge is not None and self._edge.ready

    def recall(self, query: object, limit: int, facts: Facts) -> Recalled:
        """Return the nearest lessons and cases; nothing when the server does not answer."""
        asked: Asked = {**facts, "query": query}
        ask = self._ask(asked, current_trace())
        if not self._may_ask():
            return Recalled()
        answer = self._lookup.ask("/v1/recall", _wire(ask) | {"limit": limit})
        if answer is None:
            return Recalled()
        return Recalled(
            fits=bool(answer.get("fits")), lessons=tuple(answer.get("lessons", ())),
            cases=tuple(answer.get("cases", ())), answered=True,
        )  # fmt: skip

    def inject(self, body: Mapping[str, Any], shape: Shape, facts: Asked) -> Mapping[str, Any]:
        """Return the body with what was learned; unchanged when that is not known in time."""
        try:
            trace = current_trace()
            given: Asked = {"model": body.get("model"), **facts}
            if not given.get("query"):
                given["query"] = query_of(body, shape)
            ask = self._ask(given, trace)
            found = self._block(ask, trace) if ask.query.strip() else None
            composed = body if found is None else into(body, shape, found or None)
        except Exception as error:  # strange messages are the model's client's to refuse
            say_failure("inject", error)
            return body
        return composed if found or composed != body else body

    def close(self) -> None:
        if self._edge is not None:
            self._edge.stop()
        self._lookup.close()

    def after_fork(self) -> None:
        self._lookup.after_fork()
        if self._edge is not None:
            self._edge.after_fork()

    def _block(self, ask: Ask, trace: Trace | None) -> str | None:
        """Return the block, an empty text for none, or None when nothing is known."""
        done = self._edge.inject(ask) if self._edge is not None else None
        if done is not None:
            if trace is not None:
                room = MAX_INJECTIONS - len(trace.injections)
                trace.injections += done.injections[: max(room, 0)]
            return done.text or ""
        if not self._may_ask():
            return None
        answer = self._lookup.ask("/v1/inject", _wire(ask))
        if answer is None or answer.get("outcome") in ("late", "failed"):
            return None
        text = answer.get("text")
        return text if isinstance(text, str) else ""

    def _may_ask(self) -> bool:
        """Tell whether a query may leave the process."""
        if self._settings.enabled and not self._settings.capture_content:
            say_once("teachback: without capture_content only local recall finds lessons")
        return self._settings.enabled and self._settings.capture_content

    def _ask(self, facts: Asked, trace: Trace | None) -> Ask:
        """Return what is asked: what was said, else what the trace says."""

        def word(name: str) -> str | None:
            given = facts.get(name)
            return render.as_word(getattr(trace, name, None) if given is None else given)

        environment = facts.get("environment") or getattr(trace, "environment", None)
        return Ask(
            query=render.as_text(facts.get("query")) or "",
            model=word("model") or render.as_word(getattr(trace, "request_model", None)),
            prompt=word("prompt") or _prompt(trace),
            environment=as_environment(environment, default=self._settings.environment),
            role=word("role"), surface=word("surface"), locale=word("locale"),
            topics=tuple(render.as_words(facts.get("topics")) or ()),
            user_id=word("user_id"), session_id=word("session_id"),
            trace_id=trace.id if trace is not None else new_id(),
        )  # fmt: skip


def _wire(ask: Ask) -> dict[str, object]:
    return {name: value for name, value in asdict(ask).items() if value not in (None, ())}


def _prompt(trace: Trace | None) -> str | None:
    """Return the named system prompt that the trace was told of last."""
    for item in reversed(trace.context if trace is not None else []):
        if item["kind"] == "system_prompt" and (name := render.as_word(item["name"])):
            version = render.as_word(item["version"])
            return f"{name}@{version}" if version else name
    return None


def _edge(settings: Settings) -> Edge | None:
    """Return local recall; None, and a word of what to install, where the extra is not there."""
    try:
        edge: Edge = import_module("teachback.sdk.edge").Edge(settings.url, settings.key)
    except ImportError as error:
        say_once(
            f"teachback: local recall needs {error.name}: pip install 'teachback[edge]' and the "
            "package teachback-minilm; the server is asked instead"
        )
        return None
    return edge
