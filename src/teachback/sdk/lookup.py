"""Questions to the server that the application waits for: briefly, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

from teachback.sdk import render
from teachback.sdk.scrub import scrub

#: After a failure nobody waits for the server for so long, growing up to the second number.
REST_S, MAX_REST_S = 1.0, 30.0
#: Calls at once; further ones go on without an answer.
CONNECTIONS = 16

_ENCODER = msgspec.json.Encoder()


class Lookup:
    """Asks over kept-alive connections, from any thread."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        """Wait no longer than `timeout_s` for a connection, and as long again for an answer."""
        self._url, self._timeout_s = url, timeout_s
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._client: httpx2.Client | None = None
        self._lock = threading.Lock()
        self._rest_s = REST_S
        self._rests_until = 0.0

    def ask(self, path: str, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Return the answer; None when there is none in time, which is not tried again at once."""
        if time.monotonic() < self._rests_until:
            return None
        try:
            sent = {name: value for name, value in body.items() if value is not None}
            content = scrub(_ENCODER.encode(render.as_json(sent)))
            answer = self._connected().post(self._url + path, content=content)
            answer.raise_for_status()
            value: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
        except Exception:  # the network, the address, the answer: the application goes on
            self._rests_until = time.monotonic() + self._rest_s
            self._rest_s = min(self._rest_s * 2, MAX_REST_S)
            return None
        self._rest_s = REST_S
        return value

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def after_fork(self) -> None:
        """Forget the parent's connections without a word on them."""
        self._lock = threading.Lock()
        self._inherited, self._client = self._client, None

    def _connected(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx2.Client(
                    headers=self._headers, timeout=self._timeout_s,
                    limits=httpx2.Limits(max_connections=CONNECTIONS),
                )  # fmt: skip
            return self._client
