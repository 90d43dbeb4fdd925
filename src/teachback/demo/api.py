"""What the demo asks of Teachback's HTTP API beside the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

#: A page of the story waits no longer than this for the server it is part of.
TIMEOUT_S = 10.0

Json = dict[str, Any]
Params = Mapping[str, str | int | Sequence[str]]


class Api:
    """A few requests with a secret key; all raise httpx2.HTTPError when they are not answered."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )

    def get(self, path: str, params: Params | None = None) -> Json:
        """Return what is at a path."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Json) -> Json:
        """Send a body; return the answer."""
        return self._ask("POST", path, json=body)

    def patch(self, path: str, body: Json) -> Json:
        """Change what is at a path."""
        return self._ask("PATCH", path, json=body)

    def list(self, path: str, **params: str | int | Sequence[str]) -> list[Json]:
        """Return the first page of a list."""
        data: list[Json] = self.get(path, params)["data"]
        return data

    def _ask(self, method: str, path: str, **sent: Any) -> Json:
        response = self._http.request(method, path, **sent)
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
