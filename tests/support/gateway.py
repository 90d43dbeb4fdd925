"""A server whose gateway leads to a provider of ours: import the fixtures you need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from conftest import Server, _install, fresh_database, serving
from support import upstream as stub
from teachback.llm.upstream import Patience, Upstream
from teachback.server.gateway.gateway import GatewayOptions
from teachback.server.gateway.upstreams import Upstreams

__all__ = ["gateway", "hasty_gateway", "shared_gateway"]

PATIENCE = Patience(connect_s=5.0, first_byte_s=20.0, silence_s=20.0)
#: So that a test of silence is short.
HASTY = Patience(connect_s=5.0, first_byte_s=1.0, silence_s=1.0)
QUESTION = "How do I export my invoices?"
ASKED: Any = [{"role": "user", "content": QUESTION}]


@dataclass(frozen=True)
class Through:
    """A server, the provider behind it, and the clients of an application."""

    server: Server
    upstream: stub.Upstream

    @classmethod
    def fresh(cls, url: str, dsn: str, upstream: stub.Upstream) -> Through:
        """Return the same with a project of its own."""
        return cls(Server(url, dsn, asyncio.run(_install(dsn))), upstream)

    def openai(self, **more: Any) -> openai.OpenAI:
        """OpenAI's own client, with nothing changed but address and key."""
        given: dict[str, Any] = {"api_key": self.server.secret_key, "max_retries": 0} | more
        return openai.OpenAI(base_url=f"{self.server.url}/v1", **given)

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        """Anthropic's own client, with nothing changed but address and key."""
        given: dict[str, Any] = {"api_key": self.server.secret_key, "max_retries": 0} | more
        return anthropic.Anthropic(base_url=self.server.url, **given)

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """Send a request by hand."""
        with self.server.client(**headers) as client:
            if isinstance(body, bytes):
                kind = {"content-type": "application/json"}
                return client.post(path, content=body, headers=kind)
            return client.post(path, json=body)

    def chat(self, model: str = "plain", *, stream: bool = False, **more: Any) -> httpx2.Response:
        """Ask for a chat completion by hand."""
        body = {"model": model, "messages": ASKED, "stream": stream} | more
        return self.post("/v1/chat/completions", body)

    def messages(self, model: str = "claude-plain", **more: Any) -> httpx2.Response:
        """Ask Anthropic's protocol by hand."""
        body = {"model": model, "messages": ASKED, "max_tokens": 100} | more
        return self.post("/v1/messages", body)

    def trace(self, trace_id: str) -> Any:
        """Return the trace of a call, which is stored moments after its answer."""
        with self.server.client() as client:
            return wait_for(
                lambda: (
                    answer.json()
                    if (answer := client.get(f"/v1/traces/{trace_id}")).status_code == 200
                    else None
                )
            )

    def trace_of(self, answer: httpx2.Response) -> Any:
        """Return the trace that an answer names."""
        return self.trace(answer.headers["x-teachback-trace-id"])

    def traces(self) -> list[Any]:
        """Return all traces of the project, newest first."""
        with self.server.client() as client:
            return list(client.get("/v1/traces").json()["data"])


def wait_for(read: Any, *, seconds: float = 10.0) -> Any:
    """Return what comes to be true in time."""
    until = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < until, "it did not come to be in time"
        time.sleep(0.01)
    return value


def upstreams_of(upstream: stub.Upstream) -> Upstreams:
    """Return both protocols of the provider, with its key."""
    return Upstreams(
        (
            Upstream(name="stub", url=f"{upstream.url}/v1", protocol="openai", key=stub.KEY),
            Upstream(name="claude", url=upstream.url, protocol="anthropic", key=stub.KEY),
            Upstream(name="gone", url="http://127.0.0.1:9", protocol="openai", models=("gone",)),
        )
    )


@pytest.fixture(scope="session")
def shared_gateway(
    postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, stub.Upstream]]:
    """The address and database of one server with a gateway, and its provider."""
    spool: Path = tmp_path_factory.mktemp("spool")
    with stub.Upstream() as upstream, fresh_database(postgres, template) as dsn:
        options = GatewayOptions(
            upstreams=upstreams_of(upstream), patience=PATIENCE, spool=spool, body_limit=2**21
        )
        with serving(dsn, gateway=options) as url:
            yield url, dsn, upstream


@pytest.fixture
def hasty_gateway(dsn: str) -> Iterator[Through]:
    """A gateway of its own that waits for its provider no longer than a second."""
    with stub.Upstream() as upstream:
        options = GatewayOptions(upstreams=upstreams_of(upstream), patience=HASTY)
        with serving(dsn, gateway=options) as url:
            yield Through.fresh(url, dsn, upstream)


@pytest.fixture
def gateway(shared_gateway: tuple[str, str, stub.Upstream]) -> Through:
    """The gateway with a project of its own for each test."""
    url, dsn, upstream = shared_gateway
    upstream.seen.clear()
    upstream.left.clear()
    return Through.fresh(url, dsn, upstream)
