"""Prompts in an application: served once, kept while the server is away, known to the trace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx2
import pytest

import teachback
from conftest import Server
from server.test_lessons import member_key
from server.test_prompts import TEXT, draft, move
from teachback.errors import NotFound, Unavailable
from teachback.sdk import prompts


@pytest.fixture
def alice(server: Server) -> Iterator[httpx2.Client]:
    with server.client(asyncio.run(member_key(server, "owner"))) as opened:
        yield opened


@pytest.fixture
def app(server: Server) -> Iterator[teachback.Client]:
    client = teachback.Client(server.url, server.secret_key, spool_dir="off")
    yield client
    client.close()


def test_trace_knows_the_version_it_ran_with(alice: httpx2.Client, app: teachback.Client) -> None:
    """By name and version, without saying either."""
    move(alice, draft(alice), "approved", "live")
    prompt = app.prompt("support")
    assert (prompt, prompt.name, prompt.version) == (TEXT, "support", "1")
    with app.trace("Hi") as trace:
        trace.system_prompt(prompt)
    assert app.flush()
    (item,) = alice.get(f"/v1/traces/{trace.id}").json()["context"]
    assert (item["name"], item["version"], item["content"]) == ("support", "1", TEXT)


def test_prompt_is_kept_while_the_server_is_away(
    alice: httpx2.Client, app: teachback.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old is better than none, and nobody waits for a new one."""
    move(alice, draft(alice), "approved", "live")
    assert app.prompt("support") == TEXT
    monkeypatch.setattr(prompts, "FRESH_S", 0.0)
    app._prompts._kept["support"].stale_at = 0.0
    app._prompts._url = "http://127.0.0.1:1"
    for _ in range(3):
        assert app.prompt("support") == TEXT
        time.sleep(0.05)


def test_new_version_is_seen_behind_the_one_in_use(
    server: Server, alice: httpx2.Client, app: teachback.Client
) -> None:
    """The call that finds it too old still gets the old one; a later one the new one."""
    move(alice, draft(alice), "approved", "live")
    assert app.prompt("support") == TEXT
    move(alice, draft(alice, "Other."), "approved", "live")
    app._prompts._kept["support"].stale_at = 0.0
    assert app.prompt("support") == TEXT
    until = time.monotonic() + 10
    while app.prompt("support") != "Other.":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_fallback_is_returned_and_nothing_raised(app: teachback.Client) -> None:
    """For an unknown prompt, a server that is away, and a client that is off."""
    away = teachback.Client("http://127.0.0.1:1", "tb_sk_x_y", spool_dir="off")
    off = teachback.Client(spool_dir="off")
    for client, error in ((app, NotFound), (away, Unavailable), (off, Unavailable)):
        given = client.prompt("nothing", fallback="Help.")
        assert (given, given.name, given.version) == ("Help.", "nothing", "")
        with pytest.raises(error):
            client.prompt("nothing")
    away.close()


def test_some_end_users_get_the_canary_and_keep_it(
    alice: httpx2.Client, app: teachback.Client
) -> None:
    """A fifth of them; whoever is nobody known gets what is in production."""
    move(alice, draft(alice), "approved", "live")
    move(alice, draft(alice, "New."), "approved", "canary")
    given = [app.prompt("support", user_id=f"u{number}").version for number in range(200)]
    assert given == [app.prompt("support", user_id=f"u{n}").version for n in range(200)]
    assert 20 <= given.count("2") <= 60
    assert {app.prompt("support").version for _ in range(20)} == {"1"}
