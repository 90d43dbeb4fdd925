"""One request to the server and what its answer means for the records in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx2
import msgspec

from teachback.sdk.frames import Record, RecordKind
from teachback.sdk.losses import Count
from teachback.sdk.retry import retry_after_s

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 30.0

Verdict = Literal[
    "accepted",  # every record was answered for
    "retry",  # later, unchanged
    "split",  # too much in one request
    "closed",  # the key or the address is wrong: nothing will get through
    "refused",  # this request will never be taken
]

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CLOSED = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407})


class RecordError(msgspec.Struct):
    """Why the server refused one record."""

    type: str = "rejected"
    field: str | None = None
    rule: str | None = None


class RecordResult(msgspec.Struct):
    """What the server says of one record."""

    status: str
    index: int = -1
    object: str = ""
    id: str | None = None
    error: RecordError | None = None


class _Results(msgspec.Struct):
    data: list[RecordResult]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came of one request."""

    verdict: Verdict
    #: HTTP status; 0 when there was no answer.
    status: int = 0
    #: Seconds the server asks us to wait.
    retry_after_s: float | None = None
    #: Records that the server answered for but did not keep.
    refused: list[RecordResult] = field(default_factory=list)


class Transport:
    """Sends batches over one kept-alive connection."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1/batch"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._client: httpx2.Client | None = None

    def send(self, records: list[Record], report: Counter[Count]) -> Reply:
        """Send records and the report of losses; every failure is a verdict, never an exception."""
        try:
            response = self._connected().post(self._url, content=_body(records, report))
        except httpx2.HTTPError:
            return Reply(verdict="retry")
        except Exception:  # an address or header that no request can be made of
            return Reply(verdict="closed")
        return _reply(response)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def after_fork(self) -> None:
        """Forget the parent's connection without a word on it; the next request makes its own."""
        # Kept alive on purpose: collecting it could end the parent's TLS session.
        self._inherited = self._client
        self._client = None

    def _connected(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(
                headers=self._headers,
                timeout=httpx2.Timeout(REQUEST_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                limits=httpx2.Limits(max_connections=1),
            )
        return self._client


def _body(records: list[Record], report: Counter[Count]) -> bytes:
    """Join what was encoded when it was recorded; nothing is encoded twice."""
    parts = [b'{"traces":[', _joined(records, "trace")]
    parts += [b'],"feedback":[', _joined(records, "feedback")]
    # The server corrects our clock by it when that is far off.
    parts += [b'],"sent_at":', msgspec.json.encode(datetime.now(UTC))]
    if report:
        dropped = [
            {"reason": reason, "kind": kind, "count": count}
            for (reason, kind), count in sorted(report.items())
        ]
        parts += [b',"report":', msgspec.json.encode({"dropped": dropped})]
    return b"".join([*parts, b"}"])


def _joined(records: list[Record], kind: RecordKind) -> bytes:
    return b",".join(record.payload for record in records if record.kind == kind)


def _reply(response: httpx2.Response) -> Reply:
    status = response.status_code
    if response.is_success:
        return _accepted(response)
    asked = retry_after_s(response.headers)
    if status in _RETRIED or status >= 500:
        return Reply(verdict="retry", status=status, retry_after_s=asked)
    if status == 413:
        return Reply(verdict="split", status=status)
    return Reply(verdict="closed" if status in _CLOSED else "refused", status=status)


def _accepted(response: httpx2.Response) -> Reply:
    try:
        results = msgspec.json.decode(response.content, type=_Results).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A 2xx from something that is not our server, such as a captive portal: nothing is kept.
        return Reply(verdict="retry", status=response.status_code)
    refused = [result for result in results if result.status in ("rejected", "conflict")]
    return Reply(verdict="accepted", status=response.status_code, refused=refused)
