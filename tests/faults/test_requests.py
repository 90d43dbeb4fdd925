"""Requests that break the rules of HTTP or the limits are refused in one shape and bounded time."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator

import pytest

from support.wire import Wire, trace
from teachback.bench import machine
from teachback.bench.product import Product

MIB = 1024 * 1024
WRITES = ["/v1/traces", "/v1/feedback", "/v1/batch"]
#: What one refused request may add to the memory of all our processes, in MB.
MEMORY_SLACK_MB = 42  # the limit of 10 MiB and 32 MiB
#: The time is left out, so that every test process collects the same tests.
PACKED = gzip.compress(b'{"query":"q"}', mtime=0)
LATIN_1 = '{"query":"café"}'.encode("latin-1")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"query":"q"}'),
        ("application/x-www-form-urlencoded", b"query=q"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/json; charset=latin-1", LATIN_1),
        ("application/xml", b"<query/>"),
        ("", b'{"query":"q"}'),
    ],
)
def test_wrong_content_type_is_refused(wire: Wire, path: str, kind: str, body: bytes) -> None:
    """415 in the one error shape, on every writing route."""
    answer = wire.post(path, body, {"Content-Type": kind})
    assert (answer.status, answer.error["type"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "body", [b"", b"nul", b"[]", b"1", b'"x"', b"{", b'{"query"', b"{}x", b"\x00", b"null"]
)
def test_broken_json_is_refused(wire: Wire, path: str, body: bytes) -> None:
    """400 that says what was expected."""
    answer = wire.post(path, body)
    assert (answer.status, answer.error["type"]) == (400, "invalid")


def test_byte_order_mark_is_tolerated(wire: Wire) -> None:
    """Windows tools put one in front; it is not part of the record."""
    sent = trace()
    assert wire.post("/v1/traces", b"\xef\xbb\xbf" + json.dumps(sent).encode()).status == 201
    assert wire.trace(sent["id"])["query"] == sent["query"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "oversize"}])
def test_body_over_the_limit_is_refused(wire: Wire, path: str, headers: dict[str, str]) -> None:
    """413 for more than 10 MiB, with and without an Idempotency-Key."""
    answer = wire.post(path, b'{"query":"' + b"x" * (10 * MIB) + b'"}', headers)
    assert (answer.status, answer.error["type"]) == (413, "too_large")


@pytest.mark.parametrize("extra", ["", "Idempotency-Key: endless\r\n"])
def test_body_over_the_limit_is_not_read_to_the_end_when_chunked(
    wire: Wire, product: Product, extra: str
) -> None:
    """Without a Content-Length, reading stops at the limit: memory stays bounded."""
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\n{extra}"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    before = product.memory_mb()
    answer = _send_until_answered(wire.port, head, _chunks(200 * MIB))
    assert answer.startswith(b"HTTP/1.1 413")
    assert product.memory_mb() < before + MEMORY_SLACK_MB


def _chunks(total: int) -> Iterator[bytes]:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(total // 0x10000):
        yield chunk


def _send_until_answered(port: int, head: bytes, chunks: Iterator[bytes]) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
        try:
            for chunk in chunks:
                connection.sendall(chunk)
        except OSError:
            pass  # the server has hung up, as it should
        try:
            return connection.recv(65536)
        except OSError:
            return b"HTTP/1.1 413 (closed)"


def _bomb(kind: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if kind == "gzip" else 15)
    block = b" " * MIB
    return b"".join(packer.compress(block) for _ in range(2_000)) + packer.flush()


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_compression_bombs_are_refused_in_bounded_memory(
    wire: Wire, product: Product, kind: str
) -> None:
    """Two megabytes that unpack to two gigabytes end at the limit."""
    body = _bomb(kind)
    before = product.memory_mb()
    answer = wire.post("/v1/traces", body, {"Content-Encoding": kind})
    assert (answer.status, answer.error["type"]) == (413, "too_large")
    assert product.memory_mb() < before + MEMORY_SLACK_MB


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED[:-5]),
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(PACKED, mtime=0)),
        ("deflate", b"\x00\x01\x02"),
        ("br", b"\x8b\x05\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip, gzip", PACKED),
    ],
)
def test_truncated_nested_and_unknown_encodings_are_refused(
    wire: Wire, encoding: str, body: bytes
) -> None:
    """A body that cannot be unpacked is a client's error, never ours."""
    assert wire.post("/v1/traces", body, {"Content-Encoding": encoding}).status in {400, 415}


def test_gzip_is_understood(wire: Wire) -> None:
    """Compressed records are stored like others."""
    sent = trace()
    body = gzip.compress(json.dumps(sent).encode())
    assert wire.post("/v1/traces", body, {"Content-Encoding": "gzip"}).status == 201
    assert wire.trace(sent["id"])["output"] == sent["output"]


def test_slow_and_idle_connections_do_not_hinder_others(wire: Wire) -> None:
    """A thousand connections that say nothing, or a byte at a time, leave room for the rest."""
    idle = [socket.create_connection(("127.0.0.1", wire.port), timeout=5) for _ in range(1_000)]
    try:
        for number, connection in enumerate(idle):
            if number % 2:
                connection.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 1000\r\nHost")
        assert wire.post("/v1/traces", trace()).status == 201
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.matrix
def test_slow_bodies_are_cut_off(wire: Wire) -> None:
    """A body that never comes holds its connection for twenty seconds and no longer."""
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wire.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    ).encode()
    assert wire.raw(head, timeout_s=60).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Basic dTpw", "Bearer tb_sk_x' or '1'='1", "Bearer " + "x" * 8_000,
     "Bearer tb_sk_ü", "bearer\ttb_sk_"],
)  # fmt: skip
def test_keys_that_are_none_are_refused_alike(wire: Wire, authorization: str) -> None:
    """401 of one shape, whatever stands in the header."""
    head = (
        f"GET /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {authorization}"
    )
    answer = wire.raw(head.encode() + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'"unauthenticated"' in answer


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/v1/traces/unknown", "/v1"])
def test_unknown_places_answer_in_the_one_shape(wire: Wire, path: str) -> None:
    """404 as JSON."""
    answer = wire.get(path)
    assert (answer.status, answer.error["type"]) == (404, "not_found")


def test_wrong_method_answers_in_the_one_shape(wire: Wire) -> None:
    """405 as JSON."""
    assert wire.send("PUT", "/v1/batch", {}).status == 405
    assert "error" in wire.send("PUT", "/v1/batch", {}).json


def test_broken_http_does_not_become_a_server_error(wire: Wire) -> None:
    """Garbage on the wire is answered with 400 or a closed connection."""
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"):
        assert b" 500 " not in wire.raw(garbage)
    assert wire.get("/healthz").status == 200


def test_memory_returns_after_many_large_refusals(wire: Wire, product: Product) -> None:
    """Forty oversize bodies at once are forty answers, not forty copies kept."""
    body = b'{"query":"' + b"x" * (10 * MIB + 1) + b'"}'
    before = machine.memory_mb(product.pids())
    answers: list[int] = []
    senders = [
        threading.Thread(target=lambda: answers.append(wire.post("/v1/traces", body).status))
        for _ in range(40)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == [413] * 40
    assert product.memory_mb() < before + 100
