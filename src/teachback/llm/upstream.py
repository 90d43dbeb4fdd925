"""Calls of model providers for an application: one request out, its answer back as bytes.

The destination and its key come from an `Upstream`, which is configuration; nothing in a request
can change them. Nothing is repeated here: whoever asked knows whether asking twice is harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from yarl import URL

from teachback.errors import TeachbackError

Protocol = Literal["openai", "anthropic"]
Headers = Sequence[tuple[str, str]]

#: An unused connection is kept this long, in seconds: below what providers' balancers allow.
KEEP_ALIVE_S = 30.0
#: How long a request waits for one of the connections when all are taken.
POOL_WAIT_S = 10.0
#: What aiohttp would add by itself; what is sent is what the application sent.
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

Reason = Literal["unreachable", "closed", "timeout", "malformed", "redirect", "refused_key"]
_STATUS: dict[Reason, int] = {"timeout": 504}


class UpstreamFault(TeachbackError):
    """The model provider gave no answer that could be passed on."""

    type = "upstream"

    def __init__(self, message: str, reason: Reason, *, may_retry: bool | None = None) -> None:
        """Take what to tell the application; `may_retry` is None where its client decides."""
        super().__init__(message)
        self.reason = reason
        self.may_retry = may_retry

    @property
    def status(self) -> int:
        """The HTTP status that says so."""
        return _STATUS.get(self.reason, 502)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """A model provider, as configured."""

    name: str
    #: As the provider's own clients take it: of OpenAI's protocol it ends in `/v1`.
    url: str
    protocol: Protocol
    #: What pays for the calls; never leaves the server but for this upstream.
    key: str | None = field(default=None, repr=False)
    #: Model names, or their beginnings followed by `*`; none for whatever no other one takes.
    models: tuple[str, ...] = ()
    #: Sent with each request, such as the organization that pays.
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def authorization(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that prove who pays."""
        if self.key is None:
            return ()
        if self.protocol == "anthropic":
            return (("x-api-key", self.key),)
        return (("authorization", f"Bearer {self.key}"),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long is waited for an upstream, in seconds, and how many calls go on at once."""

    connect_s: float = 5.0
    #: Until the answer begins: a long answer that is not streamed begins when it is complete.
    first_byte_s: float = 600.0
    #: Longest silence inside an answer that has begun.
    silence_s: float = 60.0
    connections: int = 1_000


class Reply:
    """An answer that has begun; read it to its end, or close it."""

    def __init__(self, response: aiohttp.ClientResponse, silence_s: float) -> None:
        self.status = response.status
        #: As they came: several may have one name.
        self.headers: Sequence[tuple[bytes, bytes]] = response.raw_headers
        self._response = response
        self._content = response.content
        self._silence_s = silence_s
        #: One timer watches over the whole answer: a timer for each piece of a stream would cost
        #: more than passing it on.
        self._watch: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._silent = False

    def header(self, name: str) -> str:
        """Return the first header of this name, in lower case; "" when there is none."""
        return self._response.headers.get(name, "").strip().lower()

    async def read(self) -> bytes:
        """Return the next bytes as they came, b"" at the end; raises UpstreamFault."""
        try:
            here = self._content.read_nowait()
            if here or self._content.at_eof():
                return here
            self._listen()
            return await self._content.readany()
        except (aiohttp.ClientError, OSError):
            if not self._silent:
                raise UpstreamFault(
                    "the model provider closed the connection inside its answer", "closed"
                ) from None
            raise UpstreamFault(
                f"the model provider was silent for {self._silence_s:g} seconds inside its answer",
                "timeout", may_retry=False,
            ) from None  # fmt: skip

    def close(self) -> None:
        """Let the connection go: for reuse when the answer is complete, else closed at once."""
        if self._watch is not None:
            self._watch.cancel()
        self._response.close()

    def _listen(self) -> None:
        """Note that something was heard; see that a silence after it ends."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self._silence_s, self._look)

    def _look(self) -> None:
        """Close the connection of an answer that was silent too long, else look again."""
        loop = asyncio.get_running_loop()
        left = self._heard_at + self._silence_s - loop.time()
        if left > 0:
            self._watch = loop.call_later(left, self._look)
            return
        self._silent = True
        self._response.close()


class UpstreamClient:
    """Keeps connections to the upstreams; made inside the event loop that uses it."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=POOL_WAIT_S + patience.connect_s, sock_connect=patience.connect_s
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=patience.connections, keepalive_timeout=KEEP_ALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
            timeout=self._timeout,
        )

    async def send(
        self, upstream: Upstream, method: str, path: str, *, headers: Headers, body: bytes | None
    ) -> Reply:
        """Send a request and wait until its answer begins; raises UpstreamFault.

        `path` goes below the upstream's address, with its query, quoted as it came.
        """
        sent = [*headers, *upstream.headers, *upstream.authorization()]
        try:
            async with asyncio.timeout(self._patience.first_byte_s):
                response = await self._session.request(
                    method, URL(upstream.url + path, encoded=True), data=body, headers=sent,
                    allow_redirects=False,
                )  # fmt: skip
        except aiohttp.InvalidURL:
            raise UpstreamFault("the address cannot be asked for", "malformed") from None
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            # Nothing was sent: another try does nothing twice.
            raise UpstreamFault(
                f"the model provider {upstream.name!a} cannot be reached", "unreachable",
                may_retry=True,
            ) from None  # fmt: skip
        except TimeoutError:
            # It may be at work still, and whoever asks again pays twice.
            raise UpstreamFault(
                f"the model provider {upstream.name!a} did not answer within "
                f"{self._patience.first_byte_s:g} seconds",
                "timeout", may_retry=False,
            ) from None  # fmt: skip
        except (aiohttp.ClientConnectionError, OSError):
            raise UpstreamFault(
                f"the model provider {upstream.name!a} closed the connection without an answer",
                "closed",
            ) from None
        except (aiohttp.ClientError, ValueError):
            raise UpstreamFault(
                f"the model provider {upstream.name!a} sent what is no HTTP", "malformed"
            ) from None
        return Reply(response, self._patience.silence_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
