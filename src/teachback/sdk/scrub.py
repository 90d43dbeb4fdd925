"""Secrets are taken out of a record before it reaches the spool, by their name and by their shape.

Shapes are looked for in the encoded JSON. Nearly all records hold none, so each pattern runs only
when a plain search finds its beginning. No pattern matches a bare quote or half an escape: what is
left is the same JSON with other text in its strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

HIDDEN = "[secret removed]"

_NAME_PARTS = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "signingkey",
    "encryptionkey", "authorization", "credential", "cookie", "connectionstring",
)  # fmt: skip
#: As an ending only: `token_count` and `input_tokens` are no secrets.
_NAME_ENDINGS = ("token", "pwd", "jwt", "bearer", "sessionid", "authkey", "xcsrf")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether what stands under this name is a secret, as in headers and settings."""
    plain = re.sub(r"[^a-z0-9]", "", name[:200].lower())
    return plain.endswith(_NAME_ENDINGS) or any(part in plain for part in _NAME_PARTS)


def scrub(payload: bytes) -> bytes:
    """Return encoded JSON with everything that has the shape of a secret replaced."""
    lowered = payload.lower()
    for shape in _SHAPES:
        if any(trigger in lowered for trigger in shape.triggers):
            payload = shape.pattern.sub(shape.replacement, payload)
    return payload


@dataclass(frozen=True, slots=True)
class _Shape:
    #: Lower-case beginnings, one of which must be there.
    triggers: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    #: Keeps the groups that are no secret.
    replacement: bytes


def _shape(triggers: str, pattern: str, kept: str = "%s") -> _Shape:
    return _Shape(
        tuple(triggers.encode().split()),
        re.compile(pattern.encode()),
        (kept % HIDDEN).encode(),
    )


_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|(?:client_?|app_?)?secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|(?:api|access|private|auth|signing)[_-]?key|(?:proxy-)?authorization|(?:set-)?cookie"
    r"|(?:access|refresh|id|auth|csrf|session|bearer)?[_-]?token|credentials?)"
)
_NAME_TRIGGERS = (
    "passw passphrase pwd secret key authorization cookie credential "
    "token= token: token\" token\\ token'"
)
#: A value inside a JSON string: no blank, quote, backslash or separator.
_VALUE = r"[^\s\"'\\,;&<>{}()\[\]]"

_SHAPES = (
    # Private keys in PEM, also cut off before their end.
    _shape(
        "-----begin",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^\"\\]|\\.)*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|(?:[^\"\\]|\\.)*)",
    ),
    # JSON Web Tokens and our own feedback tokens.
    _shape("eyj", r"eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}"),
    _shape("tbt1.", r"tbt1\.[\w-]{8,}\.[\w-]+"),
    # Keys with a maker's prefix.
    _shape("sk- sk_ pk_ rk_", r"\b(?:tb_)?[spr]k[-_][\w-]{16,}"),
    _shape("akia asia", r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b"),
    _shape("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"\b(?:gh[pousr]|github_pat)_\w{20,}"),
    _shape("glpat- xox whsec_", r"\b(?:glpat-|xox[a-z]-|whsec_)[\w-]{10,}"),
    _shape("aiza hf_ npm_ ya29.", r"\b(?:AIza|hf_|npm_|ya29\.)[\w-]{20,}"),
    _shape("sg.", r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    # The password in an address.
    _shape("://", r"(://[^/\s:@\"\\]*:)[^/\s@\"\\]+(@)", r"\1%s\2"),
    # What follows a name: as a JSON string, as JSON inside text, as `name=value`, as a header.
    _shape(
        _NAME_TRIGGERS,
        rf"(?i)({_NAME}(\\*[\"'])\s*[:=]\s*\2)(?:[^\"'\\]|(?!\2)\\.|'(?!\2))+",
        r"\1%s",
    ),
    _shape(_NAME_TRIGGERS, rf"(?i)({_NAME}=){_VALUE}{{4,}}", r"\1%s"),
    _shape(
        _NAME_TRIGGERS,
        rf"(?i)({_NAME}\s*[:=]\s*(?:bearer |basic |token )?)(?={_VALUE}*[0-9]){_VALUE}{{6,}}",
        r"\1%s",
    ),
    _shape(
        "bearer basic",
        r"\b([Bb]earer|BEARER|[Bb]asic|BASIC) (?=[\w+/.~-]*(?:[0-9=]|[a-z][A-Z]))[\w+/.~-]{8,}=*",
        r"\1 %s",
    ),
)
