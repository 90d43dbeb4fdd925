"""Pass one call on and its answer back: watched, recorded, and never held up by that."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from teachback.core import tokens
from teachback.errors import TeachbackError
from teachback.llm.upstream import Reply, UpstreamFault
from teachback.model.recall import Ask
from teachback.server import problems
from teachback.server.gateway import splice
from teachback.server.gateway.attendance import Attendance, ClientGone
from teachback.server.gateway.call import Call
from teachback.server.gateway.exchange import Exchange, is_usage_alone
from teachback.server.gateway.gateway import Gateway
from teachback.server.gateway.headers import Raw, for_client, for_upstream
from teachback.server.gateway.problems import problem
from teachback.server.gateway.sse import Events, data_of

#: A longer answer that is not streamed passes piece by piece, and its text is not recorded.
MAX_WHOLE_BYTES = 8 * 1024 * 1024
#: How long an upstream may take to close a stream that has come to its end, in seconds.
CLOSING_S = 1.0
#: Most that is unpacked of a stream at once.
PIECE_BYTES = 256 * 1024


class Passage(Response):
    """Answers a request with what its upstream answers."""

    def __init__(self, gateway: Gateway, call: Call) -> None:
        super().__init__()
        self._gateway = gateway
        self._call = call
        self._exchange: Exchange | None = None
        talk = call.endpoint.talk
        if talk is not None:
            question = talk.question(call.value)
            self._exchange = Exchange(talk, question, call.about, call.upstream)
        #: What became of the search for lessons, in one word.
        self._lessons = "off"
        self._asked_usage = False
        self._begun = False
        self._outcome: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call; what goes wrong is told in the words of its protocol."""
        self._send = send
        try:
            async with Attendance(receive):
                await self._pass()
        except ClientGone:
            self._end("aborted", "aborted: the client left before the end of the answer")
        except asyncio.CancelledError:
            self._end("aborted", "aborted: the server was stopped before the end of the answer")
            raise
        except TeachbackError as error:
            await self._refuse(error)
        except Exception as error:  # whatever it is, there is one answer
            problems.log_bug(error)
            await self._refuse(problems.bug())

    async def _pass(self) -> None:
        await self._ask_lessons()
        reply = await self._forward()
        try:
            self._check(reply)
            if self._exchange is not None:
                self._exchange.status = reply.status
                self._exchange.upstream_request_id = reply.header("x-request-id") or None
            if self._exchange is not None and reply.header("content-type").startswith(
                "text/event-stream"
            ):
                await self._stream(reply, self._exchange)
            else:
                await self._whole(reply)
        finally:
            reply.close()

    async def _ask_lessons(self) -> None:
        exchange, call = self._exchange, self._call
        about = call.about
        if exchange is None or not about.lessons:
            return
        name, version = about.prompt, about.prompt_version
        ask = Ask(
            query=exchange.question.query, trace_id=exchange.trace_id,
            model=exchange.question.model,
            prompt=f"{name}@{version}" if name and version else name or None,
            environment=about.environment, role=about.role, surface=about.surface,
            locale=about.locale, user_id=about.user_id, session_id=about.session_id,
        )  # fmt: skip
        # It has a budget, and raises nothing. What it considered is stored with the trace.
        injector, project_id = self._gateway.injector, call.caller.project_id
        injected = await injector.inject(project_id, ask, record=False)
        self._lessons = injected.outcome
        exchange.lessons, exchange.injections = injected.text, injected.injections

    async def _forward(self) -> Reply:
        """Send the request; where an upstream does not know what we added to it, without that."""
        talk = self._call.endpoint.talk
        refusing = self._gateway.without_usage
        asks = talk is not None and talk.asks_usage and self._call.streams
        reply = await self._try(ask_usage=asks and self._call.upstream.name not in refusing)
        if not self._asked_usage or reply.status not in (400, 422):
            return reply
        body = await read_to(reply, MAX_WHOLE_BYTES)
        if b"stream_options" not in body:
            return _Read(reply, body)
        reply.close()
        refusing.add(self._call.upstream.name)
        return await self._try(ask_usage=False)

    async def _try(self, *, ask_usage: bool) -> Reply:
        call = self._call
        body = self._body(ask_usage=ask_usage)
        headers = for_upstream(call.headers, streams=call.streams)
        return await self._gateway.client.send(
            call.upstream, call.method, call.path, headers=headers, body=body
        )

    def _body(self, *, ask_usage: bool) -> bytes | None:
        """Return the body that goes on: as it came when nothing is added to it."""
        call, exchange = self._call, self._exchange
        text = exchange.lessons if exchange else None
        self._asked_usage = False
        if exchange is None or call.members is None or not (text or ask_usage):
            if text:
                self._without_lessons()
            return call.body
        members = dict(call.members)
        try:
            if text:
                exchange.talk.place(members, text)
        except (msgspec.MsgspecError, KeyError, RecursionError):
            members, text = dict(call.members), None
            self._without_lessons()
        try:
            self._asked_usage = ask_usage and splice.ask_usage(members)
        except (msgspec.MsgspecError, RecursionError):
            self._asked_usage = False
        return splice.join(members) if text or self._asked_usage else call.body

    def _without_lessons(self) -> None:
        """Note that a request has no place for lessons: it passes as it came."""
        assert self._exchange is not None
        if self._lessons != "failed":
            self._gateway.metrics.gateway_unplaced.inc()
        self._lessons = "failed"
        self._exchange.lessons, self._exchange.injections = None, ()

    def _check(self, reply: Reply) -> None:
        """Raise UpstreamFault for an answer that must not reach the client."""
        if 300 <= reply.status < 400:
            raise UpstreamFault(
                f"the upstream {self._call.upstream.name!a} redirects, which is not followed: "
                "configure its final address", "redirect", may_retry=False,
            )  # fmt: skip
        if reply.status == 401:
            # Passed on, it would say that the client's own key is wrong, and quote ours.
            raise UpstreamFault(
                f"the upstream {self._call.upstream.name!a} refuses the key that is configured "
                "for it", "refused_key", may_retry=False,
            )  # fmt: skip

    async def _whole(self, reply: Reply) -> None:
        """Pass an answer that is not a stream, complete or not at all."""
        body = await read_to(reply, MAX_WHOLE_BYTES)
        headers = self._passed_headers(reply)
        if len(body) > MAX_WHOLE_BYTES:
            await self._pour(reply, body, headers)
            return
        if self._exchange is not None:
            self._exchange.whole(
                body, encoding=reply.header("content-encoding"),
                content_type=reply.header("content-type"),
            )  # fmt: skip
        self._end("answered" if reply.status < 400 else "upstream_error")
        if reply.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        await self._begin(reply.status, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def _pour(self, reply: Reply, body: bytes, headers: list[Raw]) -> None:
        """Pass a long answer piece by piece; when it breaks off, so does ours."""
        await self._begin(reply.status, headers)
        try:
            while body:
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
                body = await reply.read()
        except UpstreamFault as fault:
            self._end("failed", fault.message)
            return
        if self._exchange is not None:
            self._exchange.unreadable += 1
        self._end("answered")
        await self._send({"type": "http.response.body", "body": b""})

    async def _stream(self, reply: Reply, exchange: Exchange) -> None:
        encoding = reply.header("content-encoding")
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            exchange.unreadable += 1
            await self._pour(reply, await reply.read(), self._passed_headers(reply))
            return
        headers = [
            (n, value) for n, value in self._passed_headers(reply) if n != b"content-encoding"
        ]
        await self._begin(reply.status, headers)
        try:
            await self._relay(reply, exchange, _Unpacker(encoding))
        except UpstreamFault as fault:
            await self._break_off(fault)
            return
        self._end("answered")
        await self._send({"type": "http.response.body", "body": b""})

    async def _relay(self, reply: Reply, exchange: Exchange, unpacker: _Unpacker) -> None:
        """Pass events as they come; raises UpstreamFault when they stop before their end."""
        events = Events()
        while data := await self._next(reply, exchange):
            for piece in unpacker.feed(data):
                await self._pass_events(exchange, events.feed(piece))
        rest = events.rest()
        if rest:
            await self._pass_events(exchange, [rest])
        if not (exchange.ended or exchange.answer.error or exchange.answer.finish_reason):
            raise UpstreamFault("the model provider ended its stream before its answer", "closed")

    async def _next(self, reply: Reply, exchange: Exchange) -> bytes:
        """Return the next bytes; of a stream that has come to its end, what is left in time."""
        if not exchange.ended:
            return await reply.read()
        try:
            async with asyncio.timeout(CLOSING_S):
                return await reply.read()
        except (TimeoutError, UpstreamFault):
            return b""

    async def _pass_events(self, exchange: Exchange, events: list[bytes]) -> None:
        passed: list[bytes] = []
        for event in events:
            read = exchange.event(data_of(event))
            if not (self._asked_usage and is_usage_alone(read)):
                passed.append(event)
        if exchange.ended:  # on disk before the client knows that it has everything
            self._end("failed" if exchange.answer.error else "answered")
        if passed:
            body = passed[0] if len(passed) == 1 else b"".join(passed)
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _break_off(self, fault: UpstreamFault) -> None:
        """End a stream that has no end of its own: the client is told that it is not whole."""
        self._end("failed", fault.message)
        event = problem(fault, self._call.endpoint.protocol).event(self._call.endpoint.protocol)
        await self._send({"type": "http.response.body", "body": event})

    async def _refuse(self, error: TeachbackError) -> None:
        """Answer a call that got no answer; one that has begun ends where it is."""
        self._end("failed", error.message)
        if self._begun:
            return
        said = problem(error, self._call.endpoint.protocol).response()
        await self._begin(said.status_code, [*said.raw_headers, *self._own_headers()])
        await self._send({"type": "http.response.body", "body": said.body})

    async def _begin(self, status: int, headers: list[Raw]) -> None:
        self._begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _passed_headers(self, reply: Reply) -> list[Raw]:
        return [*for_client(reply.headers), *self._own_headers()]

    def _own_headers(self) -> list[Raw]:
        exchange, call = self._exchange, self._call
        if exchange is None:
            return []
        trace_id = exchange.trace_id
        token = tokens.sign(call.secret, trace_id, user_id=call.about.user_id)
        headers = [
            (b"x-teachback-trace-id", trace_id.encode()),
            (b"x-teachback-feedback-token", token.encode()),
            (b"x-teachback-lessons", self._lessons.encode()),
        ]
        if call.about.ignored:
            names = ", ".join(call.about.ignored)
            headers.append((b"x-teachback-ignored", names.encode("ascii", "replace")))
        return headers

    def _end(self, outcome: str, error: str | None = None) -> None:
        """Record the call, once."""
        if self._outcome is not None:
            return
        self._outcome = outcome
        self._gateway.metrics.gateway_calls.labels(outcome).inc()
        exchange = self._exchange
        if exchange is None:
            return
        if error is not None:
            exchange.fail(error)
        self._gateway.keep(self._call.caller.project_id, exchange)


class _Read(Reply):
    """An answer that was read already."""

    def __init__(self, reply: Reply, body: bytes) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply, self._body = reply, body

    def header(self, name: str) -> str:
        return self._reply.header(name)

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body or await self._reply.read()

    def close(self) -> None:
        self._reply.close()


class _Unpacker:
    """Unpacks a stream that is compressed although nobody asked for it."""

    def __init__(self, encoding: str) -> None:
        self._gzip = zlib.decompressobj(31) if encoding.endswith("gzip") else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what is in these bytes, in pieces; raises UpstreamFault."""
        if self._gzip is None:
            yield data
            return
        try:
            while data:
                yield self._gzip.decompress(data, PIECE_BYTES)
                data = self._gzip.unconsumed_tail
        except zlib.error:
            raise UpstreamFault("the model provider's stream is damaged", "malformed") from None


async def read_to(reply: Reply, limit: int) -> bytes:
    """Return an answer to its end, or to the first piece beyond the limit; raises UpstreamFault."""
    first = await reply.read()
    second = await reply.read() if first else b""
    if not second:
        return first
    pieces = bytearray(first + second)
    while len(pieces) <= limit and (piece := await reply.read()):
        pieces += piece
    return bytes(pieces)
