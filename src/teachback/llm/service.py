"""A service of models behind an address: asked with patience, and never quoted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import httpx2

from teachback.errors import Unavailable

ATTEMPTS = 4
PAUSE_S, MAX_PAUSE_S = 0.5, 20.0


class Service:
    """Sends requests, and asks again when the service is busy."""

    def __init__(
        self, url: str, key: str | None, *, timeout_s: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._url = url.rstrip("/")
        self._pause = pause
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.Client(headers=headers, timeout=timeout_s)

    def post(self, path: str, body: dict[str, Any], *, failure: str, check: str) -> Any:
        """Return the answer; raises Unavailable when it does not come after some attempts.

        `failure` says what is lacking then, `check` which settings to look at.
        """
        reason = "no answer"
        for attempt in range(1, ATTEMPTS + 1):
            wanted = None
            try:
                answer = self._client.post(self._url + path, json=body)
                if answer.is_success:
                    return answer.json()
                reason, wanted = f"status {answer.status_code}", answer.headers.get("retry-after")
                if answer.status_code != 429 and answer.status_code < 500:
                    break
            except (httpx2.HTTPError, ValueError) as error:
                # The text of the error may quote what was sent.
                reason = type(error).__name__
            if attempt < ATTEMPTS:
                self._pause(_wait_s(attempt, wanted))
        raise Unavailable(f"{failure} ({reason}): check {check}")


def _wait_s(attempt: int, wanted: str | None) -> float:
    """Return what the service asks for, else a pause that grows."""
    try:
        told = float(wanted or "")
    except ValueError:
        told = PAUSE_S * 2**attempt * random.uniform(0.5, 1)  # noqa: S311 - jitter
    return min(max(told, 0.0), MAX_PAUSE_S) if told == told else PAUSE_S  # noqa: PLR0124 - NaN
