"""Feedback tokens: what lets a browser speak about one trace, signed where the answer is made.

A token is `tbt1.<payload>.<signature>`; payload is base64url JSON of key id, trace id, end user
and expiry; the signature is HMAC-SHA256 under a key derived from the secret API key, so that
the server can check tokens without ever keeping the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from teachback.errors import Unauthenticated

PREFIX = "tbt1"
#: Thirty days: people answer "was this helpful?" mails late, but not after a month.
DEFAULT_LIFETIME_S = 30 * 24 * 3600
#: Longest token we look at; ids of 256 bytes each fit.
MAX_TOKEN_CHARS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    key_id: str
    trace_id: str
    user_id: str | None
    #: Unix time in seconds.
    expires_at: int


def signing_key(secret: str) -> bytes:
    """Derive the 32-byte key that signs tokens from the text of a secret API key."""
    return hmac.digest(secret.encode(), b"teachback feedback token v1", hashlib.sha256)


def key_id(secret: str) -> str:
    """Return the public id inside a key's text `tb_sk_<id>_<secret>`."""
    parts = secret.split("_")
    return parts[2] if len(parts) >= 4 else ""


def sign(
    secret: str,
    trace_id: str,
    *,
    user_id: str | None = None,
    lifetime_s: float = DEFAULT_LIFETIME_S,
    now: float | None = None,
) -> str:
    """Return a token for feedback on one trace, valid for `lifetime_s` seconds."""
    expires_at = int((time.time() if now is None else now) + lifetime_s)
    claims = {"k": key_id(secret), "t": trace_id, "u": user_id, "e": expires_at}
    payload = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{PREFIX}.{payload}.{_encode(_signature(signing_key(secret), payload))}"


def read(token: str) -> Token:
    """Decode a token without checking it; raises Unauthenticated when it is no token."""
    try:
        prefix, payload, _ = token[: MAX_TOKEN_CHARS + 1].split(".")
        claims = json.loads(_decode(payload))
        values = Token(
            key_id=str(claims["k"]),
            trace_id=str(claims["t"]),
            user_id=None if claims["u"] is None else str(claims["u"]),
            expires_at=int(claims["e"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Unauthenticated("the feedback token cannot be read: sign a new one") from error
    if prefix != PREFIX or len(token) > MAX_TOKEN_CHARS or not values.key_id.isalnum():
        raise Unauthenticated("the feedback token cannot be read: sign a new one")
    return values


def verify(token: str, key: bytes, *, now: float | None = None) -> Token:
    """Return what a token says after checking signature and expiry; else Unauthenticated."""
    values = read(token)
    payload, signature = token.split(".")[1:]
    if not hmac.compare_digest(_encode(_signature(key, payload)).encode(), signature.encode()):
        raise Unauthenticated("the feedback token's signature is wrong: sign it with a live key")
    if values.expires_at <= (time.time() if now is None else now):
        raise Unauthenticated("the feedback token has expired: sign a new one")
    return values


def _signature(key: bytes, payload: str) -> bytes:
    return hmac.digest(key, f"{PREFIX}.{payload}".encode(), hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
