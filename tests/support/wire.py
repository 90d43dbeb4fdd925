"""HTTP as a stranger would speak it: any method, path, header and bytes."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from teachback.model.ids import new_id


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The error object; a body of another shape fails the test that asks."""
        return self.json["error"]


@dataclass(frozen=True)
class Wire:
    """Speaks to one server with one key."""

    port: int
    key: str

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on its own connection; bodies that are not bytes become JSON."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        own = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, payload, own | (headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return self.send("POST", path, body, headers)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def trace(self, trace_id: str) -> Any:
        """Return the trail of a trace that must be there."""
        answer = self.get(f"/v1/traces/{quote(trace_id, safe='')}")
        assert answer.status == 200, answer.body
        return answer.json

    def feedback(self, feedback_id: str) -> Any:
        """Return a feedback that must be there."""
        answer = self.get(f"/v1/feedback/{quote(feedback_id, safe='')}")
        assert answer.status == 200, answer.body
        return answer.json

    def raw(self, data: bytes, *, timeout_s: float = 10.0) -> bytes:
        """Send bytes as they are and return what comes back until the connection closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(data)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
            return bytes(received)


def trace(**fields: Any) -> dict[str, Any]:
    """Make a small valid trace with its own id."""
    return {"id": new_id(), "query": "Where is my parcel?", "output": "On its way."} | fields


def rating(trace_id: str, **fields: Any) -> dict[str, Any]:
    """Make a thumb down with its own id."""
    about = {"id": new_id(), "kind": "rating", "trace_id": trace_id}
    return about | {"score": 0, "scale": "thumbs"} | fields
