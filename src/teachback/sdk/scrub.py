"""Secrets are taken out of a record before it reaches the spool, by their name and by their shape.

Both are looked for in the encoded JSON. Nearly all records hold none, so plain searches decide
whether and where a pattern is tried: a record of 2 kB takes some 15 µs. Nothing that is replaced
holds a quote or half an escape: what is left is the same JSON with other text in its strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

HIDDEN = "[secret removed]"

_NAME_PARTS = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "signingkey",
    "encryptionkey", "authorization", "credential", "cookie", "connectionstring",
)  # fmt: skip
#: As an ending only: `token_count` and `input_tokens` are no secrets.
_NAME_ENDINGS = ("token", "pwd", "jwt", "bearer", "sessionid", "authkey", "csrf", "xsrf")

#: A value inside a JSON string: no blank, quote, backslash or separator.
_VALUE = rb"[^\s\"'\\,;&<>{}()\[\]]"
#: How a name is followed by its value: as JSON or Python inside a text, as `name=value`, and as a
#: header or a line of prose, where only what holds a digit is a secret. Members of the record
#: itself are hidden by name when it is rendered.
_ASSIGNED = (
    rb"(?:(?:\\+\"|')\s*[:=]\s*(?:b?'|\\+\")(?P<quoted>[^\"'\\]+)"
    rb"|=(?P<assigned>" + _VALUE + rb"{4,})"
    rb"|\s*[:=]\s*(?:bearer |basic |token )?(?P<told>(?="
    + _VALUE
    + rb"*[0-9])"
    + _VALUE
    + rb"{6,}))"
)
_WIDE = re.compile(rb"(?i)[\w-]{4,24}?" + _ASSIGNED)
_EXACT = re.compile(rb"(?i)(?:token|pwd)" + _ASSIGNED)
_KEY = re.compile(
    rb"(?i)(?:(?<=api)|(?<=api.)|(?<=access)|(?<=access.)|(?<=private)|(?<=private.)|(?<=signing.)"
    rb"|(?<=auth.)|(?<=encryption.)|(?<=account.)|(?<=master.))key" + _ASSIGNED
)
_SCHEME = re.compile(
    rb"(?i:bearer|basic) +(?=[\w+/.~-]*(?:[0-9=]|[a-z][A-Z]))(?P<told>[\w+/.~-]{8,}=*)"
)
#: A header's whole line: cookies and schemes such as Digest hold several values.
_HEADER = re.compile(
    rb"(?i)(?:authorization|cookie)"
    rb"(?:\s*[:=]\s*(?P<line>[^\"\\]*[0-9=][^\"\\]*)|[\w-]{0,20}?" + _ASSIGNED + rb")"
)
_PASS = re.compile(rb"(?i)pass(?:w|phrase)[\w-]{0,20}?" + _ASSIGNED)
_LOGIN = re.compile(rb"://[^/\s:@\"\\]*:(?P<told>[^/\s@\"\\]+)@")

#: Lower-case beginnings of names, and what must stand there.
_STEMS = (
    (b"pass", _PASS),
    (b"secret", _WIDE),
    (b"authorization", _HEADER),
    (b"cookie", _HEADER),
    (b"credential", _WIDE),
    (b"token", _EXACT),
    (b"pwd", _EXACT),
    (b"key", _KEY),
    (b"bearer", _SCHEME),
    (b"basic", _SCHEME),
    (b"://", _LOGIN),
)

#: Shortest run of letters and digits that some part of a token or private key has. Our own ids
#: and field names have none.
_RUN = b"x" * 16
_RUN_BYTES = bytes(
    ord("x") if chr(byte).isascii() and (chr(byte).isalnum() or byte == ord("_")) else ord(" ")
    for byte in range(256)
)
_SHAPES = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    rb"(?:(?:[^\"\\]|\\.)*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|(?:[^\"\\]|\\.)*)"
    rb"|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}"  # JSON Web Token
    rb"|tbt1\.[\w-]{8,}\.[\w-]+"  # our feedback token
    rb"|\b(?:tb_)?[spr]k[-_][\w-]{16,}"
    rb"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
    rb"|\b(?:gh[pousr]|github_pat)_\w{20,}"
    rb"|\b(?:glpat-|xox[a-z]-|xapp-|whsec_|dop_v1_|pypi-)[\w-]{10,}"
    rb"|\b(?:AIza|hf_|npm_|ya29\.|GOCSPX-)[\w-]{20,}"
    rb"|\bSG\.[\w-]{16,}\.[\w-]{16,}"
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether what stands under this name is a secret, as in headers and settings."""
    plain = re.sub(r"[^a-z0-9]", "", name[:200].lower())
    return plain.endswith(_NAME_ENDINGS) or any(part in plain for part in _NAME_PARTS)


def scrub(payload: bytes) -> bytes:
    """Return encoded JSON with everything that has the name or shape of a secret replaced."""
    if _RUN in payload.translate(_RUN_BYTES):
        payload = _SHAPES.sub(HIDDEN.encode(), payload)
    spans = sorted(_named(payload))
    return _without(payload, spans) if spans else payload


def _named(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield where values stand that a name gives away."""
    lowered = payload.lower()
    for stem, pattern in _STEMS:
        at = lowered.find(stem)
        while at >= 0:
            if found := pattern.match(payload, at):
                yield found.span(found.lastgroup or 0)
            at = lowered.find(stem, at + len(stem))


def _without(payload: bytes, spans: list[tuple[int, int]]) -> bytes:
    parts = []
    done = 0
    for start, end in spans:
        if start >= done:
            parts += [payload[done:start], HIDDEN.encode()]
            done = end
    return b"".join([*parts, payload[done:]])
