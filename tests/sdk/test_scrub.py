"""Secrets at any depth never leave the process, and words about secrets stay (rows R14, R15)."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from sdk.conftest import MakeClient
from sdk.stub import Stub
from teachback import Client
from teachback.sdk.scrub import HIDDEN, scrub

CASES = 500


def letters(draw: random.Random, count: int, more: str = "") -> str:
    return "".join(draw.choices(string.ascii_letters + string.digits + more, k=count))


def jwt(draw: random.Random) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": "HS256", "typ": "JWT"})
    return f"{head}.{part({'sub': letters(draw, 12)})}.{letters(draw, 43, '-_')}"


def pem(draw: random.Random) -> str:
    kind = draw.choice(["RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""])
    lines = "\n".join(letters(draw, 64, "+/") for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def maker_key(draw: random.Random) -> str:
    prefix, count = draw.choice(
        [
            ("sk-", 48),
            ("sk-proj-", 60),
            ("sk-ant-api03-", 80),
            ("sk_live_", 24),
            ("rk_live_", 24),
            ("ghp_", 36),
            ("github_pat_", 60),
            ("glpat-", 20),
            ("xoxb-", 40),
            ("AIza", 35),
            ("hf_", 34),
            ("npm_", 36),
            ("whsec_", 32),
            ("tb_sk_", 40),
        ]
    )
    return prefix + letters(draw, count)


def named(draw: random.Random) -> dict[str, str]:
    name = draw.choice(
        ["password", "Authorization", "X-Api-Key", "api_key", "client_secret", "Set-Cookie",
         "Cookie", "access_token", "refreshToken", "privateKey", "aws_secret_access_key", "PASSWD",
         "db-password", "Proxy-Authorization", "passphrase", "credentials"]
    )  # fmt: skip
    return {name: letters(draw, draw.randint(6, 40))}


def as_text(draw: random.Random) -> tuple[str, str]:
    """A secret as it stands in a text, and the text around it."""
    value = letters(draw, draw.randint(10, 40)) + "7"
    return value, draw.choice(
        [
            f"Authorization: Bearer {value}",
            f"authorization: basic {value}==",
            f"curl -H 'X-Api-Key: {value}' https://example.com",
            f"https://example.com/?api_key={value}&page=2",
            f"password={value}",
            f'{{"password": "{value}"}}',
            f"{{'client_secret': '{value}'}}",
            f"DB_PASSWORD={value}\nDEBUG=1",
            f"postgres://app:{value}@db.example.com/main",
            f"Cookie: theme=dark; session={value}",
            f"my password: {value}, please help",
        ]
    )


def secret_case(draw: random.Random) -> tuple[str, object]:
    """One secret, and a value that holds it at some depth."""
    form = draw.randrange(5)
    value: object
    if form == 0:
        record = named(draw)
        secret, value = next(iter(record.values())), record
    elif form == 1:
        secret, value = as_text(draw)
    else:
        secret = (jwt, pem, maker_key)[form - 2](draw)
        value = draw.choice(["{}", "see {} please", "({})"]).format(secret)
    for _ in range(draw.randrange(6)):
        value = draw.choice([[value, "x"], {"inner": value, "n": 1}, {"headers": [value]}])
    return secret, value


def pieces(secret: str) -> list[str]:
    """What must not be found: of a key in several lines, each line."""
    return [line for line in secret.split("\n") if line and not line.startswith("-----")]


def test_secrets_stay_here_when_they_stand_anywhere(
    make_client: MakeClient, stub: Stub, tmp_path: Path
) -> None:
    """Five hundred secrets in every place a record has: none is sent, none lies in the spool."""
    draw = random.Random(3)
    client = make_client()
    secrets = []
    for number in range(CASES):
        secret, value = secret_case(draw)
        secrets += pieces(secret)
        place_secret(client, value, number % 5)
    waiting = b"".join(path.read_bytes() for path in tmp_path.rglob("*.seg"))
    assert client.flush(timeout_s=20)
    sent = b"".join(stub.bodies)
    assert len(stub.stored) == CASES
    assert len(waiting) > 10_000
    assert [secret for secret in secrets if secret.encode() in sent + waiting] == []


def place_secret(client: Client, value: Any, place: int) -> None:
    """Put a secret in one of the places of a record."""
    if place == 4:
        client.feedback("t", metadata={"m": value}).comment(
            value if isinstance(value, str) else "c"
        )
        return
    with client.trace(value if place == 0 else "q") as trace:
        if place == 1:
            trace.metadata = {"request": value}
        if place == 2:
            trace.document(value, name="d")
        if place == 3:
            with trace.span("s", input=value) as span:
                span.metadata = {"m": value}
        trace.output = "a"


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password: what should I do?",
        "Basic understanding of bearer certificates",
        "The secret: be kind to everyone.",
        "Where is the API key page? The keys are listed under Settings.",
        "input_tokens=1234, output_tokens: 567",
        "Mail me at someone@example.com or see https://example.com/a:b/c",
        "A cookie: the best dessert",
        "skip sk- and eyJ and AKIA",
        'He said "token" and left.',
        "Übergrößenträgerinnenversammlungsprotokoll",
    ],
)
def test_text_about_secrets_stays_when_it_holds_none(text: str) -> None:
    """What people write about passwords and keys arrives as they wrote it."""
    encoded = json.dumps({"query": text, "input_tokens": 12345678}, ensure_ascii=False).encode()
    assert scrub(encoded) == encoded


def test_record_stays_json_when_scrubbed() -> None:
    """Taking secrets out never breaks the record around them."""
    draw = random.Random(4)
    for _ in range(CASES):
        _, value = secret_case(draw)
        record = {"a": 'x"\\' + letters(draw, 5, '"\\\n é'), "b": value, "c": [1, None]}
        for ascii_only in (True, False):
            encoded = json.dumps(record, ensure_ascii=ascii_only).encode()
            decoded = json.loads(scrub(encoded))
            assert decoded["a"] == record["a"]
            assert decoded["c"] == [1, None]


def test_rest_of_a_text_stays_when_a_secret_is_taken_out(tb: Client, stub: Stub) -> None:
    """Only the secret goes."""
    with tb.trace("My key is sk-abcdefghijklmnopqrstuv, why is it refused?") as trace:
        trace.metadata = {"headers": {"Authorization": "Bearer x", "Accept": "*/*"}}
    tb.flush()
    assert stub.trace()["query"] == f"My key is {HIDDEN}, why is it refused?"
    assert stub.trace()["metadata"] == {"headers": {"Authorization": HIDDEN, "Accept": "*/*"}}


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_no_content_is_sent_when_capture_is_off(
    make_client: MakeClient, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """With content capture off no prompt, answer, document or quotation leaves the process."""
    if by == "variable":
        monkeypatch.setenv("TEACHBACK_CAPTURE_CONTENT", "false")
    client = make_client(**({"capture_content": False} if by == "argument" else {}))
    canary = "CANARY"
    with client.trace(canary) as trace:
        trace.system_prompt(canary, name="support", version="7")
        trace.document(canary, name="guide", version="2")
        trace.message(canary, role="user")
        trace.output, trace.error = canary, ValueError(canary)
        with trace.span("s", input=canary) as span:
            span.output = span.error = canary
    client.feedback(trace.id).annotate(canary, start=0, prefix=canary, comment="wrong")
    waiting = b"".join(path.read_bytes() for path in tmp_path.rglob("*.seg"))
    assert client.flush()
    assert canary.encode() not in b"".join(stub.bodies) + waiting
    record = stub.trace()
    assert [(c["kind"], c["name"], c.get("version")) for c in record["context"]] == [
        ("system_prompt", "support", "7"),
        ("document", "guide", "2"),
        ("message", "user", None),
    ]
    assert record["error"] == "ValueError"
    assert stub.feedback()["annotation"]["selector"]["end"] == len(canary)
