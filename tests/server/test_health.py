"""The process tells whether it lives, whether it can work, and what it counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from conftest import Server
from tests_support import rating, trace


@pytest.fixture
def switch(own_server: Server, postgres: str) -> Iterator[Callable[[bool], None]]:
    """Takes the server's database away, and gives it back."""
    name = str(conninfo_to_dict(own_server.dsn)["dbname"])

    def allow(there: bool) -> None:
        with psycopg.connect(postgres, autocommit=True) as connection:
            change = sql.SQL("alter database {} with allow_connections {}")
            connection.execute(change.format(sql.Identifier(name), sql.Literal(there)))
            if not there:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                    (name,),
                )

    yield allow
    allow(True)


def until(condition: Callable[[], bool], *, wait_s: float = 30) -> bool:
    """Wait for something that has to come."""
    deadline = time.monotonic() + wait_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def test_readiness_follows_the_database(own_server: Server, switch: Callable[[bool], None]) -> None:
    """Away: unready and 503, but alive; back: ready, and records are stored, without a restart."""
    with own_server.client() as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        switch(False)
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["status"]) == (503, "unready")
        assert "away" in unready.json()["reason"]
        assert client.get("/healthz").status_code == 200
        refused = client.post("/v1/traces", json=trace("t-1"))
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        page = client.get("/login")
        assert page.status_code == 200
        switch(True)
        assert until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/traces", json=trace("t-1")).status_code == 201


def test_broken_connections_are_replaced_unnoticed(
    own_server: Server, switch: Callable[[bool], None]
) -> None:
    """After a restart of the database every connection is broken, and no request sees it."""
    with own_server.client() as client:
        client.post("/v1/traces", json=trace("t-1"))
        switch(False)
        switch(True)
        assert client.post("/v1/traces", json=trace("t-2")).status_code == 201
        assert client.get("/v1/traces/t-2").status_code == 200


def test_shared_texts_are_written_again_after_the_database_was_away(
    own_server: Server, switch: Callable[[bool], None]
) -> None:
    """It may be another one now, restored or promoted, without what was written last."""
    context = [{"kind": "system_prompt", "name": "p", "version": "1", "content": "Be kind."}]
    with own_server.client() as client:
        client.post("/v1/traces", json=trace("t-1", context=context))
        with psycopg.connect(own_server.dsn, autocommit=True) as connection:
            connection.execute("delete from content")
            connection.execute("delete from version")
        switch(False)
        switch(True)
        client.post("/v1/traces", json=trace("t-2", context=context))
        assert client.get("/v1/traces/t-2").json()["context"][0]["content"] == "Be kind."
        assert client.get("/v1/changes").json()["data"] != []


def test_read_only_database_is_an_unavailable_one(own_server: Server) -> None:
    """A primary that became a standby: try again, the next connection finds its successor."""
    name = sql.Identifier(str(conninfo_to_dict(own_server.dsn)["dbname"]))
    with psycopg.connect(own_server.dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("alter database {} set default_transaction_read_only = on").format(name)
        )
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    with own_server.client() as client:
        for path, body in (
            ("/v1/traces", trace("t-1")),
            ("/v1/keys", {"kind": "secret", "name": "x"}),
        ):
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")


def test_metrics_count_what_became_of_records(own_server: Server) -> None:
    """Stored, duplicate, refused and lost before sending: each in its own counter, no ids."""
    lost = {"reason": "queue_full", "kind": "trace", "count": 3}
    report = {"dropped": [lost, {"reason": "what Charlie wrote", "kind": "trace", "count": 2}]}
    batch = {"traces": [trace("t-1"), trace("t-1"), {"id": "bad"}], "feedback": [rating("t-1", 1)]}
    with own_server.client() as client:
        assert client.post("/v1/batch", json=batch | {"report": report}).status_code == 207
        text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['teachback_records_accepted_total{object="trace"}'] == "1.0"
    assert lines['teachback_records_accepted_total{object="feedback"}'] == "1.0"
    assert lines['teachback_records_duplicate_total{object="trace"}'] == "1.0"
    assert lines['teachback_records_rejected_total{object="trace",reason="invalid"}'] == "1.0"
    assert lines['teachback_client_dropped_total{object="trace",reason="queue_full"}'] == "3.0"
    assert lines['teachback_client_dropped_total{object="trace",reason="other"}'] == "2.0"
    assert lines["teachback_records_waiting"] == "0.0"
    assert "t-1" not in text
    assert "Charlie" not in text


def test_health_says_nothing_else(server: Server) -> None:
    """Anybody may ask, and learns no version and no address."""
    answer = httpx2.get(f"{server.url}/healthz")
    assert answer.json() == {"status": "ok"}
    assert httpx2.get(f"{server.url}/readyz").json() == {"status": "ready"}
