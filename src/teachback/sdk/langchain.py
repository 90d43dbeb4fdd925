"""LangChain: lessons for agents and prompts, and cases as documents. Needs the extra `langchain`.

Whatever fails on our side, the chain goes on as it would without us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import ConfigDict

from teachback.sdk.client import Client
from teachback.sdk.guard import say_failure
from teachback.sdk.recall import Asked, Recalled
from teachback.sdk.trace import Span, Trace, current_trace

#: Where an answer says which trace it is on, to give feedback on it.
TRACE_ID = "teachback_trace_id"

Request = ModelRequest[Any]
Response = ModelResponse[Any]
#: Tells what is known of a request: the end user, their role, …
FactsOf = Callable[[Request], Asked]


class TeachbackMiddleware(AgentMiddleware[Any, Any, Any]):
    """Gives each model call of an agent what was learned, and records it.

    Inside `with client.trace(…)` a call is a span of that trace; elsewhere each is a trace of its
    own. Its answer has the trace's id in `response_metadata["teachback_trace_id"]`.
    """

    def __init__(self, client: Client, *, facts: FactsOf | None = None) -> None:
        """`facts` tells what is known of a request, such as the end user in its runtime context."""
        super().__init__()
        self._client, self._facts = client, facts

    def wrap_model_call(self, request: Request, handler: Callable[[Request], Response]) -> Response:
        """Call the model with what was learned."""
        with _Call(self._client, request, self._facts) as call:
            call.give(self._client.inject_body(call.body, shape="anthropic", **call.facts))
            return call.answered(handler(call.request))

    async def awrap_model_call(
        self, request: Request, handler: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Call the model with what was learned, without holding up other tasks."""
        with _Call(self._client, request, self._facts) as call:
            given = await self._client.ainject_body(call.body, shape="anthropic", **call.facts)
            call.give(given)
            return call.answered(await handler(call.request))


class Cases(BaseRetriever):
    """Exchanges like a query in which something was wrong, as documents.

    They hold what end users wrote: evidence to look at, and never a part of a prompt.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: Client
    k: int = 4

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return _documents(self.client.recall(query, limit=self.k))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return _documents(await self.client.arecall(query, limit=self.k))


def with_lessons(
    prompt: BasePromptTemplate[Any], client: Client, **facts: Any
) -> Runnable[Any, PromptValue]:
    """Return the prompt template with what was learned at the end of its system messages."""
    known = cast("Asked", facts)

    def give(value: PromptValue) -> PromptValue:
        body = _body(value.to_messages())
        return _composed(value, client.inject_body(body, shape="anthropic", **known))

    async def agive(value: PromptValue) -> PromptValue:
        body = _body(value.to_messages())
        return _composed(value, await client.ainject_body(body, shape="anthropic", **known))

    return prompt | RunnableLambda(give, afunc=agive)


class _Call:
    """One call of a model: its place on a trace, and the request as it is made."""

    def __init__(self, client: Client, request: Request, facts: FactsOf | None) -> None:
        self.request = request
        self.body = _body([*_system(request), *request.messages])
        self.facts: Asked = {"model": _model(request)}
        self._span: Span | None = None
        self._trace: Trace | None = None
        try:
            self.facts |= facts(request) if facts is not None else {}
            self._begin(client)
        except Exception as error:
            say_failure("langchain", error)

    def __enter__(self) -> Self:
        entered = self._span or self._trace
        if entered is not None:
            entered.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        entered = self._span or self._trace
        if entered is not None:
            entered.__exit__(kind, error, traceback)

    def give(self, body: Any) -> None:
        """Put what was learned into the request."""
        if body is not self.body:
            self.request = self.request.override(
                system_message=SystemMessage(content=body["system"])
            )

    def answered(self, response: Response) -> Response:
        """Note the answer, and tell it which trace it is on."""
        try:
            for message in response.result:
                if isinstance(message, AIMessage):
                    self._note(message)
        except Exception as error:
            say_failure("langchain", error)
        return response

    def _begin(self, client: Client) -> None:
        query, around = _query(self.request.messages), current_trace()
        if around is not None:
            self._trace = around
            self._span = around.span("model", kind="chat", input=query)
            return
        known = {name: self.facts[name] for name in _OF_TRACE if name in self.facts}  # type: ignore[literal-required]
        self._trace = client.trace(query, **known)
        for message in _system(self.request):
            self._trace.system_prompt(message.text)

    def _note(self, message: AIMessage) -> None:
        if self._trace is None:
            return
        said: object = message.text or message.tool_calls or None
        if self._span is not None:
            self._span.output = said
        usage = message.usage_metadata
        self._trace.fill(
            output=said, request_model=_model(self.request),
            response_model=message.response_metadata.get("model_name"),
            input_tokens=usage["input_tokens"] if usage else None,
            output_tokens=usage["output_tokens"] if usage else None,
        )  # fmt: skip
        message.response_metadata[TRACE_ID] = self._trace.id


_OF_TRACE = ("user_id", "session_id", "environment", "role", "surface", "locale")


def _system(request: Request) -> list[SystemMessage]:
    return [] if request.system_message is None else [request.system_message]


def _model(request: Request) -> str | None:
    name = getattr(request.model, "model_name", None) or getattr(request.model, "model", None)
    return name if isinstance(name, str) else None


def _body(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    """Return the last of the system messages at the beginning, and the last turn of the user."""
    system = _leading(messages)
    body: dict[str, Any] = {"messages": [{"role": "user", "content": _query(messages)}]}
    return {**body, "system": system[-1].content} if system else body


def _leading(messages: Sequence[BaseMessage]) -> list[SystemMessage]:
    found: list[SystemMessage] = []
    for message in messages:
        if not isinstance(message, SystemMessage):
            break
        found.append(message)
    return found


def _query(messages: Sequence[BaseMessage]) -> str:
    asked = [message for message in messages if isinstance(message, HumanMessage)]
    return asked[-1].text if asked else ""


def _composed(value: PromptValue, body: Any) -> PromptValue:
    """Return the prompt with the system text of a body, which is absent when nothing is given."""
    if "system" not in body:
        return value
    messages = value.to_messages()
    before = _leading(messages)
    last = SystemMessage(content=body["system"])
    if before:
        last = before[-1].model_copy(update={"content": body["system"]})
    return ChatPromptValue(messages=[*before[:-1], last, *messages[len(before) :]])


def _documents(recalled: Recalled) -> list[Document]:
    return [
        Document(
            page_content=str(case.get("situation") or case.get("query") or ""),
            metadata={"trace_id": case.get("id")}
            | {name: value for name, value in case.items() if name != "situation"},
        )
        for case in recalled.cases
    ]
