"""Wraps an OpenAI client in place: its calls are traced, its answers and errors stay its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from teachback.sdk.answers import (
    Answer,
    ChatAnswer,
    Question,
    ResponsesAnswer,
    chat_question,
    responses_question,
)
from teachback.sdk.guard import say_failure
from teachback.sdk.model_call import ModelCall, fail, finish

if TYPE_CHECKING:
    from teachback.sdk.client import Client

OpenAIClient = TypeVar("OpenAIClient")

_PROVIDERS = {"openai.com": "openai", "azure.com": "azure.ai.openai"}


def wrap_openai(openai_client: OpenAIClient, *, client: Client) -> OpenAIClient:
    """Trace the calls of an `OpenAI` or `AsyncOpenAI` client and return the same client.

    Inside `with client.trace(…)` a call becomes a span and fills what the trace does not say yet;
    elsewhere each call is a trace of its own. Copies made by `with_options` are not wrapped.
    """
    provider = _provider(openai_client)
    for path, read, answer in (
        ("chat.completions.create", chat_question, ChatAnswer),
        ("chat.completions.parse", chat_question, ChatAnswer),
        ("responses.create", responses_question, ResponsesAnswer),
        ("responses.parse", responses_question, ResponsesAnswer),
    ):
        try:
            _wrap(openai_client, path, _Wrapper(client, provider, read, answer))
        except Exception as error:
            say_failure(f"wrap_openai {path}", error)
    return openai_client


def _wrap(root: object, path: str, wrapper: _Wrapper) -> None:
    *parents, name = path.split(".")
    owner = functools.reduce(getattr, parents, root)
    original = getattr(owner, name, None)
    if original is not None and not hasattr(original, "teachback_wrapped"):
        setattr(owner, name, wrapper.around(original))


def _provider(openai_client: object) -> str | None:
    host = urlsplit(str(getattr(openai_client, "base_url", ""))).hostname or ""
    for ending, name in _PROVIDERS.items():
        if host == ending or host.endswith(f".{ending}"):
            return name
    return None


class _Wrapper:
    """Makes the traced form of one method."""

    def __init__(
        self,
        client: Client,
        provider: str | None,
        read: Callable[[Mapping[str, object]], Question],
        answer: Callable[[], Answer],
    ) -> None:
        self._client = client
        self._provider = provider
        self._read = read
        self._answer = answer
        #: False once the server has refused `stream_options`.
        self._may_ask_usage = answer is ChatAnswer

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method recorded; of the async client it returns an awaitable, as before."""

        @functools.wraps(original)
        def create(*args: Any, **kwargs: Any) -> Any:
            call = self._begin(kwargs)
            asked = call.ask_usage(kwargs) if call and self._may_ask_usage else kwargs
            try:
                result = original(*args, **asked)
                if inspect.isawaitable(result):
                    return self._awaited(result, original, args, kwargs, call)
            except BaseException as error:
                if not self._without_usage(call, error):
                    fail(call, error)
                    raise
                result = self._again(original, args, kwargs, call)
            return finish(call, result)

        create.teachback_wrapped = True  # type: ignore[attr-defined]
        return create

    async def _awaited(
        self,
        result: Any,
        original: Callable[..., Any],
        args: Any,
        kwargs: Any,
        call: ModelCall | None,
    ) -> Any:
        try:
            answered = await result
        except BaseException as error:
            if not self._without_usage(call, error):
                fail(call, error)
                raise
            answered = await self._again(original, args, kwargs, call)
        return finish(call, answered)

    def _again(
        self, original: Callable[..., Any], args: Any, kwargs: Any, call: ModelCall | None
    ) -> Any:
        """Repeat a call as the application made it."""
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise

    def _without_usage(self, call: ModelCall | None, error: BaseException) -> bool:
        """Tell whether a server refused only what we had added; nothing was answered then."""
        refused = getattr(error, "status_code", None) in (400, 422) and "stream_options" in str(
            error
        )
        if call is None or not call.asked_usage or not refused:
            return False
        call.asked_usage = False
        self._may_ask_usage = False
        return True

    def _begin(self, kwargs: Mapping[str, object]) -> ModelCall | None:
        try:
            return ModelCall(self._client, self._read(kwargs), self._answer(), self._provider)
        except Exception as error:
            say_failure("wrap_openai", error)
            return None
