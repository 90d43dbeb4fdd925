"""The caller of models: a process that sends calls to a gateway, and the same past it.

It reads one line of JSON, a `Plan`, and writes one, a `Result`. Calls to both go out in turn, at
the same pace, so that whatever the machine does meanwhile happens to both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Literal, cast

import httptools
import uvloop

from teachback.bench.records import SYSTEM_PROMPT, words

#: Calls that are not counted: connections open, caches fill.
WARM_UP = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send, and how."""

    kind: Literal["paced", "flat_out", "streams"]
    gateway_port: int
    provider_port: int
    key: str
    #: Calls that are counted, of each of the two.
    calls: int
    seed: int
    #: Calls in a second, and at once.
    rate: float = 100.0
    connections: int = 32
    #: Questions that a lesson is kept for; each other one is asked for the first time.
    known: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(kw_only=True)
class Result:
    """What came of it; all times in milliseconds."""

    through: list[float] = dataclasses.field(default_factory=list)
    direct: list[float] = dataclasses.field(default_factory=list)
    #: Of streams: from the call to the first byte of its answer, and of each chunk from when it
    #: was written.
    first_through: list[float] = dataclasses.field(default_factory=list)
    first_direct: list[float] = dataclasses.field(default_factory=list)
    chunks_through: list[float] = dataclasses.field(default_factory=list)
    chunks_direct: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    injected: int = 0
    failed: int = 0


class Connection(asyncio.Protocol):
    """One connection: sends a call, and waits for the whole answer."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[None] | None = None
        self.first_ns = 0
        self.injected = False
        self.chunks_ms: list[float] = []
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._now = time.perf_counter_ns()
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"x-teachback-lessons" and value == b"injected":
            self.injected = True

    def on_body(self, body: bytes) -> None:
        if not self.first_ns:
            self.first_ns = self._now
        # An event may come in pieces; what is cut is left out, alike on both ways.
        for event in body.split(b'"content": " ')[1:]:
            written, quote, _ = event.partition(b'"')
            if quote and written.isdigit():
                self.chunks_ms.append((self._now - int(written)) / 1e6)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    async def call(self, raw: bytes) -> float:
        """Return the milliseconds to the last byte; raises ConnectionError."""
        self.first_ns, self.injected, self.chunks_ms = 0, False, []
        self._answer = asyncio.get_running_loop().create_future()
        self.begun_ns = time.perf_counter_ns()
        self._transport.write(raw)
        await self._answer
        return (time.perf_counter_ns() - self.begun_ns) / 1e6


class Caller:
    """Sends what a plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._draw = random.Random(plan.seed)
        self._idle: dict[int, list[Connection]] = {plan.gateway_port: [], plan.provider_port: []}
        self.result = Result()
        self._number = -WARM_UP

    async def run(self) -> Result:
        """Send everything."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "paced": self._paced, "flat_out": self._flat_out, "streams": self._streams,
        }  # fmt: skip
        await kinds[self._plan.kind]()
        return self.result

    async def _paced(self) -> None:
        """Send at fixed times, whether or not answers have come; to the two in turn."""
        plan, loop = self._plan, asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []
        begun = loop.time()
        for number in range((WARM_UP + plan.calls) * 2):
            await asyncio.sleep(begun + number / plan.rate / 2 - loop.time())
            port = plan.gateway_port if number % 2 == 0 else plan.provider_port
            counted = number >= WARM_UP * 2
            tasks.append(asyncio.create_task(self._one(port, counted=counted)))
        await asyncio.gather(*tasks)

    async def _flat_out(self) -> None:
        """Send to the gateway over all connections, each as soon as it is answered."""
        plan = self._plan
        left = iter(range(plan.calls))

        async def work() -> None:
            for _ in left:
                await self._one(plan.gateway_port, counted=True)

        await asyncio.gather(*(self._one(plan.gateway_port, counted=False) for _ in range(WARM_UP)))
        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(plan.connections)))
        self.result.seconds = time.perf_counter() - begun

    async def _streams(self) -> None:
        """Read one stream after the other, from the two in turn."""
        for number in range(10 + self._plan.calls):
            for port in (self._plan.gateway_port, self._plan.provider_port):
                await self._one(port, counted=number >= 10, stream=True)

    async def _one(self, port: int, *, counted: bool, stream: bool = False) -> None:
        connection = await self._connection(port)
        raw = self._request(stream=stream)
        try:
            took = await connection.call(raw)
        except ConnectionError:
            self.result.failed += 1
            return
        self._idle[port].append(connection)
        if connection.status != 200:
            self.result.failed += 1
        elif counted:
            self._note(connection, took, through=port == self._plan.gateway_port)

    async def _connection(self, port: int) -> Connection:
        if self._idle[port]:
            return self._idle[port].pop()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        return connection

    def _note(self, connection: Connection, took: float, *, through: bool) -> None:
        result = self.result
        (result.through if through else result.direct).append(took)
        first = (connection.first_ns - connection.begun_ns) / 1e6
        (result.first_through if through else result.first_direct).append(first)
        chunks = result.chunks_through if through else result.chunks_direct
        chunks += connection.chunks_ms
        result.injected += connection.injected

    def _request(self, *, stream: bool) -> bytes:
        self._number += 1
        draw, known = self._draw, self._plan.known
        question = words(draw, draw.randint(6, 14))
        if known and self._number % 2:
            question = draw.choice(known)
        messages = [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": words(draw, 12)},
            {"role": "assistant", "content": words(draw, 40)},
            {"role": "user", "content": question},
        ]
        asked = {"model": "bench-1", "messages": messages, "user": f"u{self._number}",
                 "temperature": 0.2, "stream": stream}  # fmt: skip
        body = json.dumps(asked, separators=(",", ":")).encode()
        return (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"authorization: Bearer {self._plan.key}\r\ncontent-type: application/json\r\n"
            "accept: application/json\r\nuser-agent: bench\r\nx-teachback-session: "
            f"s{self._number // 4}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


def main() -> None:
    """Read a plan, send, and tell what came of it."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    result = uvloop.run(Caller(plan).run())
    sys.stdout.write(json.dumps(dataclasses.asdict(result)) + "\n")


if __name__ == "__main__":
    main()
