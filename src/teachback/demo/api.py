"""Reading from Teachback's HTTP API what the SDK, which only sends, does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

#: A page of the story waits no longer than this for the server it is part of.
TIMEOUT_S = 10.0

Json = dict[str, Any]


class Api:
    """A few GET requests with a secret key."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """Return what is at a path; raises httpx2.HTTPError when there is nothing."""
        response = self._http.get(path, params=params)
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    def list(self, path: str, **params: str | int) -> list[Json]:
        """Return the first page of a list."""
        data: list[Json] = self.get(path, params)["data"]
        return data

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
