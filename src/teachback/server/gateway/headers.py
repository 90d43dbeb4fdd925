"""Which headers pass, in either direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Raw = tuple[bytes, bytes]

#: Of one connection, not of the message: RFC 9110, section 7.6.1.
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
#: What proves who asks us, or says where a request came from; and whose account pays, which is
#: decided where the upstream's key is.
_KEPT_FROM_UPSTREAM = _HOP_BY_HOP | {
    b"host", b"content-length", b"content-encoding", b"accept-encoding", b"expect",
    b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"teachback-token",
    b"forwarded", b"x-real-ip", b"via", b"origin", b"referer",
    b"openai-organization", b"openai-project",
}  # fmt: skip
_PREFIXES_KEPT_FROM_UPSTREAM = (b"x-teachback-", b"x-forwarded-", b"sec-")
#: What the server says itself, and what would bind a client to the upstream's address.
_KEPT_FROM_CLIENT = _HOP_BY_HOP | {
    b"content-length", b"date", b"server", b"set-cookie", b"alt-svc", b"cache-control",
    b"strict-transport-security", b"x-content-type-options", b"content-security-policy",
    b"location",
}  # fmt: skip
_PREFIXES_KEPT_FROM_CLIENT = (b"x-teachback-", b"access-control-")


def for_upstream(headers: Iterable[Raw], *, streams: bool) -> list[tuple[str, str]]:
    """Return what of a client's request goes on."""
    given = list(headers)
    dropped = _KEPT_FROM_UPSTREAM | _named_by_connection(given)
    passed = [
        (name.decode("latin-1"), text)
        for name, value in given
        if name not in dropped
        and not name.startswith(_PREFIXES_KEPT_FROM_UPSTREAM)
        and (text := _text(value)) is not None
    ]
    # Only what the record can be read from; a compressed stream would come in lumps.
    wanted = b"".join(value for name, value in given if name == b"accept-encoding")
    passed.append(("accept-encoding", "gzip" if b"gzip" in wanted and not streams else "identity"))
    return passed


def for_client(headers: Sequence[Raw]) -> list[Raw]:
    """Return what of an upstream's answer goes on."""
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = _KEPT_FROM_CLIENT | _named_by_connection(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in dropped and not name.startswith(_PREFIXES_KEPT_FROM_CLIENT)
    ]


def _named_by_connection(headers: list[Raw]) -> set[bytes]:
    """Return the further headers that are of this connection alone."""
    values = [value for name, value in headers if name == b"connection"]
    return {part.strip().lower() for value in values for part in value.split(b",")}


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
