"""The load client: a process of its own that writes batches over kept-alive connections.

Bodies are made before the clock starts and answers are read just far enough to count them, so
that little of the machine goes to the client. It talks lines of JSON: a `Plan` comes in, a
`Result` goes out; a second line asks it to send everything again, to see what is kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from collections import deque
from typing import IO, cast

import httptools
import msgspec
import uvloop

from teachback.bench.records import batches

#: How long a client waits before it tries a connection again, in seconds.
RECONNECT_S = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send, and how."""

    port: int
    key: str
    connections: int
    requests: int
    #: Records in each request.
    size: int
    seed: int
    #: Over how many days back the records are spread; 0 is now.
    days: int = 0
    #: Send what failed again, until everything is acknowledged or the time is over.
    patient: bool = False
    limit_s: float = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it."""

    seconds: float
    #: Items in answers 200 and 207 by what became of them; a record is two, trace and feedback.
    stored: int
    duplicates: int
    rejected: int
    #: Attempts that were refused or cut off.
    failed: int
    #: Sorted, of answered requests.
    latencies_ms: list[float]
    bytes_sent: int
    #: The first answer that was not 2xx, to say why.
    trouble: str = ""


class _Answer(msgspec.Struct):
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0


class _Client(asyncio.Protocol):
    """One connection: sends a request, waits for the whole answer, sends the next."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.connection_lost(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), bytes(self._body)
        self._body.clear()
        self._parser = httptools.HttpResponseParser(self)
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((status, body))

    async def send(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; raises ConnectionError when there is none."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionError("the connection is closed")
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.writelines((head, body))
        return await self.answer


class Load:
    """Bodies, and how often they were sent with what result."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.bodies = list(batches(plan.requests, plan.size, seed=plan.seed, days=plan.days))
        #: Requests that were answered with 2xx, by their place in `bodies`.
        self.acknowledged: set[int] = set()
        self._head = (
            f"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\n"
            f"Authorization: Bearer {plan.key}\r\nContent-Type: application/json\r\n"
        )

    async def send(self, numbers: list[int]) -> Result:
        """Send these bodies once each over all connections."""
        waiting = deque(numbers)
        counts = _Counts()
        started = time.perf_counter()
        await asyncio.gather(
            *(self._connection(waiting, counts, started) for _ in range(self.plan.connections))
        )
        return Result(
            seconds=time.perf_counter() - started,
            stored=counts.stored,
            duplicates=counts.duplicates,
            rejected=counts.rejected,
            failed=counts.failed,
            latencies_ms=sorted(counts.latencies_ms),
            bytes_sent=counts.bytes_sent,
            trouble=counts.trouble,
        )

    async def _connection(self, waiting: deque[int], counts: _Counts, started: float) -> None:
        client: _Client | None = None
        while waiting and time.perf_counter() - started < self.plan.limit_s:
            number = waiting.popleft()
            try:
                if client is None:
                    client = await self._connect()
                await self._one(client, number, counts)
            except OSError as error:
                client = None
                counts.fail(str(error))
                if not self.plan.patient:
                    return
                waiting.appendleft(number)
                await asyncio.sleep(RECONNECT_S)
        if client is not None and client.transport is not None:
            client.transport.close()

    async def _connect(self) -> _Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(_Client, "127.0.0.1", self.plan.port)
        return client

    async def _one(self, client: _Client, number: int, counts: _Counts) -> None:
        body = self.bodies[number]
        head = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode()
        before = time.perf_counter()
        status, text = await client.send(head, body)
        if status // 100 != 2:
            raise ConnectionError(f"{status}: {text[:300].decode(errors='replace')}")
        counts.latencies_ms.append((time.perf_counter() - before) * 1_000)
        counts.bytes_sent += len(body)
        counts.add(msgspec.json.decode(text, type=_Answer))
        self.acknowledged.add(number)


class _Counts:
    def __init__(self) -> None:
        self.stored = self.duplicates = self.rejected = self.bytes_sent = self.failed = 0
        self.latencies_ms: list[float] = []
        self.trouble = ""

    def add(self, answer: _Answer) -> None:
        self.stored += answer.stored
        self.duplicates += answer.duplicates
        self.rejected += answer.rejected

    def fail(self, why: str) -> None:
        self.failed += 1
        self.trouble = self.trouble or why


def main(lines: IO[str], answers: IO[str]) -> None:
    """Read a plan, answer `ready`, send at the next line, then again at each further line.

    The further lines ask for what was acknowledged before: an honest server calls it duplicates.
    """
    load = Load(Plan(**json.loads(lines.readline())))
    _say(answers, {"ready": sum(map(len, load.bodies))})
    if lines.readline():
        _say(answers, dataclasses.asdict(uvloop.run(load.send(list(range(load.plan.requests))))))
    while lines.readline():
        again = uvloop.run(load.send(sorted(load.acknowledged)))
        _say(answers, dataclasses.asdict(again))


def _say(answers: IO[str], value: dict[str, object]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
