"""LangChain's own agents, prompts and retrievers with Teachback in them, and a model nearby."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from conftest import Server
from sdk.model_stub import ModelStub
from support.lessons import planted
from teachback import Client
from teachback.sdk.langchain import TRACE_ID, Cases, TeachbackMiddleware, with_lessons
from tests_support import rating, trace

QUERY = "How do I get a refund?"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than a request would wait."""
    monkeypatch.setattr("teachback.recall.inject.BUDGET_S", 5.0)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture
def model() -> Iterator[ModelStub]:
    with ModelStub() as running:
        yield running


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[Client]:
    """A client of a project with one lesson, of which nothing is held back."""
    with server.client() as http:
        http.patch("/v1/projects/current", json={"recall": {"holdout": 0, "propensity": 1}})
    planted(server, situation=QUERY, text="Within 14 days.")
    made = Client(server.url, server.secret_key, spool_dir=tmp_path, recall_timeout_s=10)
    until(lambda: made.recall(QUERY).fits)
    yield made
    made.close(timeout_s=0.1)


def until(wanted: Callable[[], object], limit_s: float = 30) -> None:
    begun = time.monotonic()
    while not wanted():
        assert time.monotonic() - begun < limit_s
        time.sleep(0.01)


def agent(client: Client, model: ModelStub, **options: Any) -> Any:
    chat = ChatOpenAI(base_url=model.url, api_key="k", model="gpt-x")  # type: ignore[arg-type]
    middleware = TeachbackMiddleware(client, facts=lambda _: {"user_id": "u-7", "role": "guest"})
    return create_agent(chat, tools=[], middleware=[middleware], **options)


def sent(model: ModelStub) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = model.requests[-1]["messages"]
    return messages


@pytest.mark.parametrize("awaited", [False, True])
def test_agent_is_given_what_was_learned(
    server: Server, client: Client, model: ModelStub, awaited: bool
) -> None:
    """The model sees it, the trace holds it, and feedback finds the trace by its answer."""
    made = agent(client, model, system_prompt="You help.")
    asked = {"messages": [HumanMessage(QUERY)]}
    state = asyncio.run(made.ainvoke(asked)) if awaited else made.invoke(asked)
    system, user = sent(model)
    assert system["content"].startswith("You help.\n\n<teachback-lessons>")
    assert "| Within 14 days." in system["content"]
    assert user["content"] == QUERY
    answer = state["messages"][-1]
    assert isinstance(answer, AIMessage)
    client.feedback(answer.response_metadata[TRACE_ID], author="u-7").thumbs_down()
    assert client.flush(timeout_s=20)
    with server.client() as http:
        kept = http.get(f"/v1/traces/{answer.response_metadata[TRACE_ID]}").json()
    assert (kept["query"], kept["output"], kept["user_id"]) == (QUERY, "Press Export.", "u-7")
    assert (kept["request_model"], kept["input_tokens"]) == ("gpt-x", 11)
    assert [one["kind"] for one in kept["feedback"]] == ["rating"]
    assert kept["context"][0]["content"] == "You help."


def test_call_is_a_span_inside_a_trace(client: Client, model: ModelStub) -> None:
    """One request of an application stays one trace."""
    with client.trace(QUERY) as around:
        state = agent(client, model).invoke({"messages": [HumanMessage(QUERY)]})
    assert state["messages"][-1].response_metadata[TRACE_ID] == around.id
    assert [(span.kind, span.output) for span in around.spans] == [("chat", "Press Export.")]
    assert sent(model)[0]["role"] == "system"


def test_agent_goes_on_when_nothing_works(model: ModelStub) -> None:
    """Without a server, with facts that fail: the call is made as it would be without us."""

    def wrong(_: object) -> Any:
        raise ValueError

    chat = ChatOpenAI(base_url=model.url, api_key="k", model="gpt-x")  # type: ignore[arg-type]
    off = Client(None, None)
    made = create_agent(chat, tools=[], middleware=[TeachbackMiddleware(off, facts=wrong)])
    state = made.invoke({"messages": [HumanMessage(QUERY)]})
    assert state["messages"][-1].text == "Press Export."
    assert [one["role"] for one in sent(model)] == ["user"]


@pytest.mark.parametrize("awaited", [False, True])
def test_prompt_template_is_given_what_was_learned(client: Client, awaited: bool) -> None:
    """At the end of its system messages; other questions leave it as it is."""
    template = ChatPromptTemplate([("system", "You help."), ("human", "{question}")])
    prompt = with_lessons(template, client, role="guest")

    def render(question: str) -> list[Any]:
        given = {"question": question}
        value = asyncio.run(prompt.ainvoke(given)) if awaited else prompt.invoke(given)
        return list(value.to_messages())

    system, user = render(QUERY)
    assert "| Within 14 days." in system.text
    assert user.text == QUERY
    assert [one.text for one in render("Something else")] == ["You help.", "Something else"]
    alone = with_lessons(ChatPromptTemplate([("human", "{question}")]), client)
    assert [one.type for one in alone.invoke({"question": QUERY}).to_messages()] == [
        "system", "human",
    ]  # fmt: skip


def test_cases_are_documents(server: Server, client: Client) -> None:
    """With what was wrong beside them."""
    with server.client() as http:
        http.post("/v1/traces", json=trace("bad", query="I want a refund"))
        http.post("/v1/feedback", json=rating("bad", 0))
    retriever = Cases(client=client, k=2)
    until(lambda: retriever.invoke(QUERY))
    (document,) = asyncio.run(retriever.ainvoke(QUERY))
    assert document.page_content == "I want a refund"
