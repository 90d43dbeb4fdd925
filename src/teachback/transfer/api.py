"""The server as a client of its public API sees it: a few requests, patient with a busy one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from teachback.errors import (
    Forbidden,
    Invalid,
    NotFound,
    SetupError,
    TeachbackError,
    Unavailable,
)
from teachback.model.project import Project
from teachback.sdk.retry import pause_s, retry_after_s

#: Tries of one request, with pauses that grow to about half a minute.
_TRIES = 7
_TIMEOUT_S = 60.0
_PAGE = 200


class TooLarge(TeachbackError):
    """A request holds more than the server takes at once."""


class Api:
    """Speaks to one project with its secret key."""

    def __init__(
        self, url: str | None, key: str | None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        if not url or not key:
            raise SetupError(
                "nobody said which server: give --url and --key, or set TEACHBACK_URL and "
                "TEACHBACK_KEY; `teachback keys create` makes a key"
            )
        self._sleep = sleep
        try:
            self._client = httpx2.Client(
                base_url=url.rstrip("/"),
                headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                timeout=_TIMEOUT_S,
            )
        except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise SetupError(
                f"{url!a} is no address of a server: write http://HOST:PORT"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def project(self) -> Project:
        """Return the key's project, with the reasons that its feedback may name."""
        return msgspec.convert(self._get("/v1/projects/current"), Project, strict=False)

    def send(self, traces: list[bytes], feedback: list[bytes]) -> dict[str, Any]:
        """Send encoded records and return what became of each; raises TooLarge."""
        parts = (b'{"traces":[', b",".join(traces), b'],"feedback":[', b",".join(feedback), b"]}")
        return self._ask("POST", "/v1/batch", content=b"".join(parts))

    def pages(self, path: str, params: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
        """Return a list page by page."""
        cursor: str | None = None
        while True:
            further = {"cursor": cursor} if cursor else {}
            page = self._get(path, {**params, **further, "limit": str(_PAGE)})
            yield page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _get(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        return self._ask("GET", path, params=params)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        tries = 0
        while True:
            tries += 1
            try:
                response = self._client.request(method, path, **request)
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
                raise SetupError(
                    "that is no address of a server: write http://HOST:PORT"
                ) from error
            except httpx2.HTTPError as error:
                pause, failure = None, f"the server does not answer ({type(error).__name__})"
            else:
                if response.status_code not in (408, 425, 429) and response.status_code < 500:
                    return _answer(response)
                pause = retry_after_s(response.headers)
                failure = f"the server answered {response.status_code}"
            if tries == _TRIES:
                raise Unavailable(f"{failure}, {tries} times: see that it runs, and try again")
            self._sleep(pause_s(tries) if pause is None else pause)


def _answer(response: httpx2.Response) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if response.is_success and isinstance(value, dict):
        return value
    told = value.get("error") if isinstance(value, dict) else None
    said = told.get("message") if isinstance(told, dict) else None
    match response.status_code:
        case 401 | 403:
            raise Forbidden(f"{said or 'the server refused the key'} (TEACHBACK_KEY, or --key)")
        case 404 if said:
            raise NotFound(said)
        case 413:
            raise TooLarge
        case _ if said:
            raise _refused(told, said)
    raise SetupError(
        f"the answer {response.status_code} is not Teachback's: correct TEACHBACK_URL, or --url"
    )


def _refused(told: Any, said: str) -> TeachbackError:
    if told.get("field") and told.get("rule"):
        return Invalid(told["field"], rule=told["rule"], fix=told.get("fix") or "Correct it")
    return TeachbackError(said)
