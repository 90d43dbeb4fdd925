"""What strangers send and nobody foresaw: bounded, answered in one shape, and never logged."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import NoReturn

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from conftest import Server, serving
from teachback.core import tokens
from teachback.record.access import hash_password
from teachback.server.context import TRIES_PER_CLIENT, TRIES_PER_EMAIL
from teachback.store.database import Database
from teachback.store.projects import set_password
from tests_support import rating

HTML = {"accept": "text/html,application/xhtml+xml"}
SECRET_WORDS = "what Charlie wrote"
NUL_PLACES = [
    ("GET", "/v1/traces?id=%00", None),
    ("GET", "/v1/traces/%00", None),
    ("GET", "/v1/feedback?author=%00", None),
    ("GET", "/v1/feedback/%00", None),
    ("GET", "/v1/sessions/%00", None),
    ("DELETE", "/v1/keys/%00", None),
    ("POST", "/v1/keys", {"kind": "secret", "name": "a\0"}),
    ("POST", "/v1/projects", {"name": "a\0"}),
    ("PATCH", "/v1/projects/current", {"reasons": [{"label": "a", "title": "\0"}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), NUL_PLACES)
def test_what_the_database_cannot_hold_is_the_senders_error(
    client: httpx2.Client, method: str, path: str, body: object
) -> None:
    """U+0000 in an address or a setting is a 400 in the one shape, never a 500."""
    answer = client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid")


def test_lone_surrogate_in_a_cursor_is_the_senders_error(client: httpx2.Client) -> None:
    """A cursor made by hand cannot break the server."""
    made = json.dumps(["2026-01-01T00:00:00+00:00", "\ud800"]).encode()
    cursor = base64.urlsafe_b64encode(made).decode()
    assert client.get("/v1/traces", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize(
    "claims",
    [
        r'{"k":"a\u0000","t":"x","u":null,"e":99999999999}',
        r'{"k":"\ud800","t":"x","u":null,"e":99999999999}',
        '{"k":"a","t":"x","u":null,"e":1e400}',
        '{"k":"a","t":"x","u":null,"e":NaN}',
        '{"k":{},"t":"x","u":null,"e":99999999999}',
        "[]",
    ],
)
def test_forged_tokens_are_refused_whatever_they_claim(server: Server, claims: str) -> None:
    """A token is read before its signature is checked: no claim may break the reading."""
    payload = base64.urlsafe_b64encode(claims.encode()).rstrip(b"=").decode()
    token = f"{tokens.PREFIX}.{payload}.AAAA"
    with server.client(server.public_key, **{"teachback-token": token}) as browser:
        assert browser.get("/v1/feedback").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/projects", "application/json"),
        ("POST", "/v1/keys", "application/json"),
        ("PATCH", "/v1/projects/current", "application/json"),
        ("POST", "/theme", "multipart/form-data; boundary=x"),
    ],
)
def test_bodies_of_strangers_are_read_to_a_limit(
    server: Server, method: str, path: str, kind: str
) -> None:
    """Before any key is looked at, nobody can fill the memory: a mebibyte is the end."""
    start = b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"
    chunks = iter([start, *[b"a" * 65536] * 48])
    with httpx2.Client(base_url=server.url, timeout=30) as stranger:
        answer = stranger.request(method, path, content=chunks, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")


def test_withdrawal_names_its_author_in_a_chunked_body_too(client: httpx2.Client) -> None:
    """The guard "only if it is Eve's" holds however the body is sent."""
    client.post("/v1/feedback", json=rating("t-1", 0, id="f-1", author="bob"))
    headers = {"content-type": "application/json"}
    body = iter([b'{"author": ', b'"eve"}'])
    answer = client.post("/v1/feedback/f-1/withdraw", content=body, headers=headers)
    assert answer.status_code == 403


def test_judgement_of_the_last_moment_can_be_taken_back(client: httpx2.Client) -> None:
    """A clock at the end of the calendar leaves no room for a later moment."""
    at = "9999-12-31T23:59:59.999999Z"
    client.post("/v1/feedback", json=rating("t-1", 0, id="0", occurred_at=at))
    assert client.post("/v1/feedback/0/withdraw").json()["withdrawn"] is True


async def _broken(scope: Scope, _receive: Receive, _send: Send) -> NoReturn:
    raise RuntimeError(SECRET_WORDS)


@pytest.fixture
def broken_page(dsn: str) -> Iterator[str]:
    """The product with a page that fails."""
    with serving(dsn, mounts={"/broken": _broken}) as url:
        yield f"{url}/broken/"


def test_bug_is_answered_and_its_message_is_nowhere(
    broken_page: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """People get a page and programs get JSON; the log names the place, not the content."""
    page, program = httpx2.get(broken_page, headers=HTML), httpx2.get(broken_page)
    assert (page.status_code, program.status_code) == (500, 500)
    assert page.headers["content-type"].startswith("text/html")
    assert program.json()["error"]["type"] == "internal"
    said = capfd.readouterr()
    assert "RuntimeError" in said.out + said.err
    assert SECRET_WORDS not in page.text + program.text + said.out + said.err + caplog.text


def test_wrong_method_says_what_is_allowed(server: Server) -> None:
    """405 with the header Allow, as a page for people."""
    answer = httpx2.put(f"{server.url}/logout", headers=HTML)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"].startswith("text/html")


PASSWORD = "correct horse battery staple"


def _sign_in(server: Server, email: str, password: str) -> httpx2.Response:
    form = {"email": email, "password": password}
    return httpx2.post(f"{server.url}/login", data=form, timeout=30)


@pytest.mark.parametrize("known", [True, False])
def test_guessing_a_password_ends_soon(server: Server, known: bool) -> None:
    """After ten wrong words even the right one waits; a stranger's address looks the same."""
    alice = server.installation.alice
    email = alice.email if known else "nobody-" + alice.email
    asyncio.run(_give_password(server))
    answers = [_sign_in(server, email, f"guess {i}") for i in range(TRIES_PER_EMAIL)]
    assert [answer.status_code for answer in answers] == [401] * TRIES_PER_EMAIL
    refused = _sign_in(server, email.upper(), PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 900
    assert "Try again in 15 minutes" in refused.text
    assert "set-cookie" not in refused.headers


def test_right_passwords_are_never_too_many(server: Server) -> None:
    """Only wrong ones count."""
    asyncio.run(_give_password(server))
    email = server.installation.alice.email
    answers = [_sign_in(server, email, PASSWORD).status_code for _ in range(TRIES_PER_EMAIL + 2)]
    assert answers == [303] * (TRIES_PER_EMAIL + 2)


async def _give_password(server: Server) -> None:
    db = Database(server.dsn, max_size=2)
    await db.open()
    await set_password(db, server.installation.alice.id, hash_password(PASSWORD))
    await db.close()


def test_more_is_allowed_to_an_office_than_to_one_address() -> None:
    """Many people may sit behind one address of the network."""
    assert TRIES_PER_CLIENT >= 10 * TRIES_PER_EMAIL
