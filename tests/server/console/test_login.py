"""Signing in and out, by password and by a link that works once."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from conftest import Server
from teachback.record.access import hash_password
from teachback.store.database import Database
from teachback.store.projects import set_password

PASSWORD = "correct horse battery staple"


@pytest.fixture
def email(server: Server) -> str:
    """Alice's address; she has a password."""

    async def give_password() -> None:
        db = Database(server.dsn, max_size=2)
        await db.open()
        await set_password(db, server.installation.alice.id, hash_password(PASSWORD))
        await db.close()

    asyncio.run(give_password())
    return server.installation.alice.email


def sign_in(server: Server, email: str, password: str, wanted: str = "") -> httpx2.Response:
    form = {"email": email, "password": password, "next": wanted}
    return httpx2.post(f"{server.url}/login", data=form)


def test_password_signs_in_when_right(server: Server, email: str) -> None:
    """The browser gets a cookie that scripts cannot read, and the page it wanted."""
    answer = sign_in(server, email.upper(), PASSWORD, "/traces/a%2Fb?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/traces/a%2Fb?x=1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "evil",
     "/\t/evil.example", "javascript:alert(1)", "/\n/evil.example"],
)  # fmt: skip
def test_sign_in_stays_here_when_the_link_leads_away(
    server: Server, email: str, wanted: str
) -> None:
    """A forged `next` cannot send a member to another site."""
    assert sign_in(server, email, PASSWORD, wanted).headers["location"] == "/"


def test_answer_is_the_same_when_the_member_or_the_password_is_wrong(
    server: Server, email: str
) -> None:
    """Nobody learns which addresses have an account."""
    wrong = sign_in(server, email, "wrong password")
    unknown = sign_in(server, "nobody@example.com", "wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(email, "") == unknown.text.replace("nobody@example.com", "")
    assert "set-cookie" not in wrong.headers


def test_link_is_used_up_only_when_confirmed(server: Server) -> None:
    """Reading the link changes nothing; the first Continue signs in, the second does not."""
    link = f"{server.url}/login/{server.installation.login_token}"
    assert httpx2.get(link).status_code == 200
    assert httpx2.get(link).status_code == 200
    assert httpx2.post(link).status_code == 303
    used = httpx2.post(link)
    assert used.status_code == 410
    assert "set-cookie" not in used.headers


def test_login_ends_when_signed_out(visitor: httpx2.Client) -> None:
    """The old cookie is worth nothing after signing out."""
    cookie = visitor.cookies["teachback_login"]
    visitor.post("/logout")
    answer = httpx2.get(
        str(visitor.base_url.join("/feedback")), headers={"cookie": f"teachback_login={cookie}"}
    )
    assert answer.status_code == 303


def test_form_is_refused_when_another_site_sends_it(visitor: httpx2.Client) -> None:
    """A forged form cannot make a key with the visitor's cookie."""
    form = {"name": "x", "kind": "secret"}
    forged = visitor.post("/settings/keys", data=form, headers={"sec-fetch-site": "cross-site"})
    assert forged.status_code == 403


def test_theme_is_remembered_when_chosen(visitor: httpx2.Client) -> None:
    """The page comes in the chosen theme from its first byte; others are refused."""
    assert 'data-theme="system"' in visitor.get("/feedback").text
    assert 'data-theme="dark"' in visitor.post("/theme", data={"theme": "dark"}).text
    assert visitor.post("/theme", data={"theme": '"><script>'}).status_code == 400
