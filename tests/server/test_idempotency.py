"""Idempotency-Key: whose it is, and what it is worth."""

from __future__ import annotations

import httpx2

from conftest import Server
from teachback.core import tokens
from tests_support import rating

KEY = {"idempotency-key": "k-1"}


def _browser(server: Server, user: str) -> httpx2.Client:
    token = tokens.sign(server.secret_key, "t-1", user_id=user)
    return server.client(server.public_key, **{"teachback-token": token})


def test_browsers_cannot_take_a_servers_key(server: Server, client: httpx2.Client) -> None:
    """The same key of a page and of a server are two."""
    with _browser(server, "u-1") as browser:
        assert browser.post("/v1/feedback", json=rating("t-1", 0), headers=KEY).status_code == 201
    answer = client.post("/v1/feedback", json=rating("t-1", 1, author="bob"), headers=KEY)
    assert answer.status_code == 201


def test_answer_of_one_user_is_not_replayed_to_another(server: Server) -> None:
    """Two end users send the same bytes under one key: the second is told, and nothing is lost."""
    body = rating("t-1", 0)
    with _browser(server, "u-1") as first, _browser(server, "u-2") as second:
        told = first.post("/v1/feedback", json=body, headers=KEY)
        again = first.post("/v1/feedback", json=body, headers=KEY)
        other = second.post("/v1/feedback", json=body, headers=KEY)
    assert told.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["error"]["type"]) == (422, "idempotency_mismatch")


def test_refused_request_leaves_its_key_free(client: httpx2.Client) -> None:
    """What stored nothing may be mended and sent again."""
    refused = client.post("/v1/feedback", json=rating("t-1", 7), headers=KEY)
    assert refused.status_code == 400
    assert client.post("/v1/feedback", json=rating("t-1", 1), headers=KEY).status_code == 201
