"""A stand-in for the server that takes batches and answers, or misbehaves, as a test tells it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Batch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say to one request; an empty body is made from the records."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Cut the connection instead of answering.
    reset: bool = False
    #: Wait before answering.
    delay_s: float = 0.0
    body: bytes | None = None


OK = Answer()
Rule = Callable[[Batch], Answer]


class Stub:
    """Keeps every request and every record it said yes to."""

    def __init__(self) -> None:
        #: Answers for the next requests, in order; then `rule` decides.
        self.answers: list[Answer] = []
        self.rule: Rule = lambda _: OK
        self.requests: list[Batch] = []
        self.bodies: list[bytes] = []
        self.times: list[float] = []
        self.keys: list[str] = []
        self.stored: dict[str, dict[str, Any]] = {}
        self.arrivals: Counter[str] = Counter()
        self.reported: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens, on loopback."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of one kind that were taken, each once."""
        return [record for record in self.stored.values() if record["object"] == kind]

    def trace(self) -> dict[str, Any]:
        """Return the only trace that was taken."""
        (trace,) = self.records("trace")
        return trace

    def feedback(self) -> dict[str, dict[str, Any]]:
        """Return the feedback that was taken, by kind."""
        return {record["kind"]: record for record in self.records("feedback")}

    def wait_for(self, wanted: Callable[[Stub], bool], timeout_s: float = 10) -> bool:
        """Wait until a condition holds."""
        until = time.monotonic() + timeout_s
        while not wanted(self) and time.monotonic() < until:
            time.sleep(0.01)
        return wanted(self)

    def decide(self, raw: bytes, key: str) -> tuple[Answer, Batch]:
        """Note a request and choose its answer."""
        batch: Batch = json.loads(raw)
        with self._lock:
            self.requests.append(batch)
            self.bodies.append(raw)
            self.times.append(time.monotonic())
            self.keys.append(key)
            answer = self.answers.pop(0) if self.answers else self.rule(batch)
        return answer, batch

    def take(self, batch: Batch) -> bytes:
        """Keep a batch's records and return what the product would say."""
        results = []
        with self._lock:
            for kind, name in (("trace", "traces"), ("feedback", "feedback")):
                for index, record in enumerate(batch[name]):
                    self.arrivals[record["id"]] += 1
                    status = "duplicate" if record["id"] in self.stored else "stored"
                    self.stored.setdefault(record["id"], record | {"object": kind})
                    result = {"object": kind, "index": index, "id": record["id"]}
                    results.append(result | {"status": status})
            for row in batch.get("report", {}).get("dropped", []):
                self.reported[row["reason"], row["kind"]] += row["count"]
        return json.dumps({"data": results}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that left before their answer: tests make them."""


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            answer, batch = stub.decide(raw, self.headers["authorization"])
            time.sleep(answer.delay_s)
            if answer.reset:
                self.close_connection = True
                self.connection.close()
                return
            body = answer.body
            if body is None:
                body = stub.take(batch) if answer.status in (200, 207) else b'{"error":{}}'
            self._answer(answer, body)

        def _answer(self, answer: Answer, body: bytes) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
