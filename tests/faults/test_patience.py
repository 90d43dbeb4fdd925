"""Connections that keep the server waiting are let go; shortened here, so that nobody waits."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from conftest import Server
from teachback.server import bodies


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second instead of twenty."""
    monkeypatch.setattr(bodies, "BODY_S", 0.5)


def _head(server: Server, path: str, framing: str, kind: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.secret_key}\r\n"
        f"Content-Type: {kind}\r\n{framing}\r\n\r\n"
    ).encode()


def _trickle(server: Server, head: bytes, chunks: Iterator[bytes]) -> bytes:
    """Send a chunk every tenth of a second; return all that comes until the connection closes."""
    port = int(server.url.rsplit(":", 1)[1])
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head)
        connection.settimeout(0.1)
        while True:
            try:
                connection.sendall(next(chunks, b""))
                if not (chunk := connection.recv(65536)):
                    return bytes(received)
                received += chunk
            except TimeoutError:
                continue
            except OSError:  # hung up while we were sending
                return bytes(received)


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/traces", "application/json"),
        ("/v1/feedback", "application/json"),
        ("/v1/batch", "application/json"),
        ("/v1/keys", "application/json"),
        ("/login", "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("sent", [b"", b'5\r\n{"a":\r\n'], ids=["silent", "trickling"])
def test_body_is_refused_and_hung_up_on_when_it_never_ends(
    server: Server, path: str, kind: str, framing: str, sent: bytes
) -> None:
    """408 in the one error shape and a closed connection, however the sender keeps us waiting."""
    chunk = sent if "chunked" in framing else sent and b"x"
    chunks = iter(lambda: chunk, None)
    answer = _trickle(server, _head(server, path, framing, kind), chunks)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert body.startswith(b'{"error":{"type":"timeout"')


def test_idempotency_key_is_free_again_when_its_body_never_came(server: Server) -> None:
    """A request cut off is no request: the same key works when it comes whole."""
    framing = "Idempotency-Key: cut\r\nContent-Length: 1000"
    head = _head(server, "/v1/traces", framing, "application/json")
    assert _trickle(server, head, iter([b"{"])).startswith(b"HTTP/1.1 408")
    with server.client(**{"idempotency-key": "cut"}) as client:
        assert client.post("/v1/traces", json={"query": "q"}).status_code == 201
