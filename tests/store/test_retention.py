"""What a project no longer keeps goes, whole and in small steps; all else stays, and is found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import psycopg
import pytest

from conftest import Server, serving
from teachback.store import retention, search, trends
from teachback.store.database import Database
from teachback.store.retention import Due
from tests_support import rating, trace

NOW = datetime.now(UTC)
OLD, NEW = NOW - timedelta(days=40), NOW - timedelta(days=2)
KEEP_DAYS = 30
#: Kept where it names a trace: what is counted, waits for one, or is a mark of the trace's own.
NOT_SWEPT = {"search_waiting", "embedding_waiting"}


def _send(client: httpx2.Client, **body: Any) -> None:
    answer = client.post("/v1/batch", json=body)
    assert answer.json()["rejected"] == 0, answer.text


@pytest.fixture
def client(own_server: Server) -> Iterator[httpx2.Client]:
    """Speaks to a server of its own."""
    with own_server.client() as opened:
        yield opened


@pytest.fixture
def filled(client: httpx2.Client) -> httpx2.Client:
    """Two old trails in two sessions, one of which goes on; one new trail; texts they share."""
    both, old_only = [
        {"kind": "system_prompt", "name": "p", "content": text} for text in ("You help.", "Of old.")
    ]
    _send(
        client,
        traces=[
            trace("o-1", session_id="gone", started_at=OLD.isoformat(), context=[both, old_only],
                  spans=[{"id": "s", "name": "step", "output": "dusty"}], query="dusty invoice"),
            trace("o-2", session_id="goes-on", started_at=OLD.isoformat()),
            trace("n-1", session_id="goes-on", started_at=NEW.isoformat(), context=[both],
                  query="fresh invoice"),
        ],
        feedback=[
            rating("o-1", 0, id="f-1", author="a", occurred_at=OLD.isoformat()),
            rating("o-1", 1, id="f-2", author="a", occurred_at=NOW.isoformat()),  # f-1's successor
            {"id": "f-3", "kind": "annotation", "trace_id": "o-1", "comment": "dusty",
             "selector": {"exact": "Open", "start": 0, "end": 4}},
            {"id": "f-4", "kind": "comment", "session_id": "gone", "comment": "dusty"},
            {"id": "f-5", "kind": "comment", "trace_id": "never", "comment": "dusty", "author": "b",
             "occurred_at": OLD.isoformat()},
            rating("n-1", 0, id="f-6", occurred_at=OLD.isoformat()),  # older than its trace
            {"id": "f-7", "kind": "comment", "trace_id": "never", "comment": "waits"},
        ],
    )  # fmt: skip
    client.post("/v1/feedback/f-3/thread", json={"action": "reply", "author": "b", "comment": "?"})
    return client


async def _with_db(dsn: str, work: Any) -> Any:
    db = Database(dsn, max_size=4)
    await db.open()
    try:
        return await work(db)
    finally:
        await db.close()


async def _settled(db: Database) -> None:
    """Work off what search and trends follow by."""
    while await search.waiting(db) or await db.one("select from trend_dirty"):
        await search.make_documents(db)
        await trends.refresh(db)


def _rows(dsn: str) -> dict[str, int]:
    """How many rows of each table say anything of an old trail."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select c.table_name from information_schema.columns c join pg_tables t "
            "on t.tablename = c.table_name and t.schemaname = c.table_schema "
            "where c.column_name = 'project_id' and c.table_schema = current_schema()"
        ).fetchall()
        found = {
            name: connection.execute(
                f"select count(*) from {name} r where r::text like any(%s)",
                (["%o-1%", "%o-2%", "%dusty%", "%Of old.%"],),
            ).fetchone()
            for (name,) in tables
        }
    return {name: row[0] for name, row in found.items() if row and row[0]}


def test_a_trail_goes_whole_and_its_session_with_the_last_turn(
    filled: httpx2.Client, own_server: Server
) -> None:
    """No table says anything of it any more; what is kept reads as before, and counts right."""
    asyncio.run(_with_db(own_server.dsn, retention.forget_old))
    assert filled.get("/v1/traces/o-1").status_code == 200, "nothing goes unless somebody says so"
    assert filled.patch("/v1/projects/current", json={"keep_days": KEEP_DAYS}).status_code == 200
    with psycopg.connect(own_server.dsn, autocommit=True) as connection:
        connection.execute("update content set used_at = used_at - interval '60 days' "
                           "where content = 'Of old.'")  # fmt: skip

    async def work(db: Database) -> int:
        await _settled(db)
        removed = await retention.forget_old(db)
        await _settled(db)
        return removed

    assert asyncio.run(_with_db(own_server.dsn, work)) == 3  # two traces, one lone feedback
    assert _rows(own_server.dsn) == {}
    kept = filled.get("/v1/traces/n-1").json()
    assert kept["context"][0]["content"] == "You help."
    assert [one["id"] for one in kept["feedback"]] == ["f-6"]
    listed = filled.get("/v1/feedback").json()["data"]
    assert {one["id"] for one in listed} == {"f-6", "f-7"}
    assert filled.get("/v1/sessions/gone").status_code == 404
    session = filled.get("/v1/sessions/goes-on").json()
    assert (session["turns"], len(session["traces"])) == (1, 1)
    assert datetime.fromisoformat(session["started_at"]) == NEW
    assert [hit["id"] for hit in filled.get("/v1/search?q=invoice").json()["data"]] == ["n-1"]
    since = (NOW - timedelta(days=60)).date().isoformat() + "T00:00:00Z"
    counted = filled.get("/v1/trends", params={"metric": "traces", "since": since}).json()
    assert sum(point["n"] for point in counted["series"][0]["points"]) == 1


def test_removal_goes_on_where_a_kill_stopped_it(client: httpx2.Client, own_server: Server) -> None:
    """Every batch is a transaction: what it removed is gone whole, the rest is there whole."""
    _send(client, traces=[trace(f"o-{n}", started_at=OLD.isoformat()) for n in range(30)],
          feedback=[rating(f"o-{n}", 0, author=f"a{n}") for n in range(30)])  # fmt: skip
    due = Due(project_id=own_server.installation.project.id, before=NEW)

    async def two_batches(db: Database) -> None:
        await retention.remove_traces(db, due, limit=10)
        failing = asyncio.create_task(retention.remove_traces(db, due, limit=10))
        await asyncio.sleep(0.02)  # somewhere in it
        failing.cancel()
        await asyncio.gather(failing, return_exceptions=True)

    asyncio.run(_with_db(own_server.dsn, two_batches))
    left = client.get("/v1/traces?limit=200").json()["data"]
    assert len(left) in (10, 20)
    for one in left:
        assert len(client.get(f"/v1/traces/{one['id']}").json()["feedback"]) == 1
    asyncio.run(_with_db(own_server.dsn, lambda db: retention.remove_traces(db, due)))
    assert client.get("/v1/traces").json()["data"] == []
    assert client.get("/v1/feedback").json()["data"] == []


def test_two_workers_remove_each_trace_once_while_records_arrive(
    client: httpx2.Client, own_server: Server
) -> None:
    """Neither waits for the other, and no judgement that arrives meanwhile is refused."""
    _send(client, traces=[trace(f"o-{n}", session_id=f"s-{n % 7}", started_at=OLD.isoformat())
                          for n in range(200)])  # fmt: skip
    due = Due(project_id=own_server.installation.project.id, before=NEW)

    async def work(db: Database) -> int:
        async def all_of_them() -> int:
            total = 0
            while removed := await retention.remove_traces(db, due, limit=15):
                total += removed
            return total

        async def judge() -> int:
            for n in range(0, 200, 10):
                one = rating(f"o-{n}", 0, id=f"f-{n}", occurred_at=OLD.isoformat())
                sent = await asyncio.to_thread(client.post, "/v1/feedback", json=one)
                assert sent.status_code == 201
            return 0

        return sum(await asyncio.gather(all_of_them(), all_of_them(), judge()))

    assert asyncio.run(_with_db(own_server.dsn, work)) == 200
    asyncio.run(_with_db(own_server.dsn, lambda db: retention.remove_feedback(db, due)))
    for path in ("/v1/traces", "/v1/feedback", "/v1/sessions"):
        assert client.get(path).json()["data"] == [], path


def test_shared_texts_go_when_no_kept_trace_names_them(
    own_server: Server, filled: httpx2.Client
) -> None:
    """One that is named again in time is in use, whether it is brought or only named."""

    def age(days: int) -> None:
        with psycopg.connect(own_server.dsn, autocommit=True) as connection:
            connection.execute(
                "update content set used_at = used_at - make_interval(days => %s)", (days,)
            )

    def texts() -> set[str]:
        with psycopg.connect(own_server.dsn) as connection:
            return {row[0] for row in connection.execute("select content from content")}

    due = Due(project_id=own_server.installation.project.id, before=NOW - timedelta(days=30))

    def removal() -> int:
        work = partial(retention.remove_texts, due=due, limit=1)
        removed: int = asyncio.run(_with_db(own_server.dsn, work))
        return removed

    age(32)
    assert (removal(), texts()) == (0, {"You help.", "Of old."}), "spared for some days"
    age(5)
    named = filled.get("/v1/traces/n-1").json()["context"][0]["content_hash"]
    with (
        serving(own_server.dsn) as url,  # another process: a server remembers for a day
        httpx2.Client(base_url=url, headers=filled.headers, timeout=30) as other,
    ):
        _send(other, traces=[trace("n-2", context=[{"kind": "tool", "content_hash": named}])])
    assert (removal(), texts()) == (1, {"You help."})
    assert filled.get("/v1/traces/n-2").json()["context"][0]["content"] == "You help."


def test_every_table_that_names_a_trace_is_swept(own_server: Server) -> None:
    """A new table whose rows belong to a trace has its line in retention, or says why not here."""
    with psycopg.connect(own_server.dsn) as connection:
        rows = connection.execute(
            "select c.table_name from information_schema.columns c join pg_tables t "
            "on t.tablename = c.table_name and t.schemaname = c.table_schema "
            "where c.column_name = 'trace_id' and c.table_schema = current_schema()"
        ).fetchall()
    swept = " ".join(retention._OF_TRACES + retention._OF_JUDGEMENTS)
    left = {
        name for (name,) in rows
        if name not in NOT_SWEPT and f"from {name} " not in swept
    }  # fmt: skip
    assert left == {"search_document"}, "this one follows by its mark"


@pytest.mark.parametrize("days", [-1, 40_000, "30", 1.5, True])
def test_a_wrong_time_to_keep_is_refused(client: httpx2.Client, days: object) -> None:
    """Whole days, or 0 for ever."""
    answer = client.patch("/v1/projects/current", json={"keep_days": days})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "keep_days")
    assert client.get("/v1/projects/current").json()["keep_days"] == 0
