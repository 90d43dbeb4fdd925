"""A database of any age is migrated with all that is in it; a cut migration is finished."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conftest import Server
from teachback.diagnose import trends as diagnosed
from teachback.errors import SetupError
from teachback.model.trend import TrendQuery
from teachback.record.trail import get_session_trail, get_trail
from teachback.store import keys, migrations, projects, search, tags, trends, views
from teachback.store.database import Database
from teachback.store.listing import Filters, list_feedback
from teachback.store.where import Where
from tests_support import rating, trace

NAMES = list(migrations.available())
#: Rows as the code of each age wrote them, by the migration after which they are there.
SEEDS = Path(__file__).parent / "upgrades"
PROJECT = "00000000-0000-7000-8000-000000000001"
MEMBER = "00000000-0000-7000-8000-000000000002"


@pytest.fixture
def empty(postgres: str) -> Iterator[str]:
    """The address of a database without any schema."""
    name = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield make_conninfo(postgres, dbname=name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        drop = sql.SQL("drop database {} with (force)")
        connection.execute(drop.format(sql.Identifier(name)))


def _build(dsn: str, last: str) -> None:
    """Make a database as it was at this migration, with data of each age in it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrations.pending(connection)
        for name in NAMES[: NAMES.index(last) + 1]:
            migrations._apply(connection, name)
            seed = SEEDS / f"{name}.sql"
            if seed.exists():
                connection.execute(seed.read_bytes())


@pytest.mark.parametrize("last", NAMES)
def test_everything_is_read_back_when_a_schema_of_any_age_is_migrated(
    empty: str, last: str
) -> None:
    """Trails, people, keys, search and trends, from whatever earlier version they are."""
    _build(empty, last)
    assert migrations.migrate(empty) == NAMES[NAMES.index(last) + 1 :]
    asyncio.run(
        _read_back(empty, members_kept_views=NAMES.index(last) >= NAMES.index("0007_views"))
    )


async def _read_back(dsn: str, *, members_kept_views: bool) -> None:
    db = Database(dsn, max_size=2)
    await db.open()
    try:
        await _check_record(db)
        await _check_found(db)
        saved = await views.list_views(db, PROJECT, "feedback")
        tagged = await tags.find_tags(db, PROJECT, ["f-now"])
        assert (len(saved), tagged) == ((1, {"f-now": ["to-check"]}) if members_kept_views
                                        else (0, {}))  # fmt: skip
    finally:
        await db.close()


async def _check_record(db: Database) -> None:
    trail = await get_trail(db, PROJECT, "t-1")
    assert (trail.trace.query, trail.trace.metadata) == ("Where is my invoice?", {"n": 1})
    assert [item.content for item in trail.trace.context] == ["You help.", None]
    assert [span.output for span in trail.trace.spans] == ["found"]
    now, note = trail.judgements
    assert (now.feedback.score, [one.score for one in now.history]) == (1, [0])
    assert (note.feedback.comment, [one.comment for one in note.thread]) == ("Old.", ["Really?"])
    session, turns, judgements = await get_session_trail(db, PROJECT, "s-1")
    assert (session.turns, len(turns), len(judgements)) == (2, 2, 3)
    rows = await list_feedback(db, PROJECT, Filters(unmatched=True))
    assert [row["id"] for row in rows] == ["f-waits"]
    member = await projects.get_member(db, MEMBER)
    project = await projects.get_project(db, PROJECT)
    assert (member.roles, project.reasons[0].label) == ({PROJECT: "owner"}, "wrong_fact")
    key = await keys.find_key(db, "abcdefgh")
    assert key is not None


async def _check_found(db: Database) -> None:
    """Search and trends know what was recorded before there were any."""
    while await search.waiting(db) or await db.one("select from trend_dirty"):
        await search.make_documents(db)
        await trends.refresh(db)
    await search.count_words(db)
    asked = await search.ask_words(db, PROJECT, "invoices")
    hits = await search.find_by_words(db, PROJECT, asked, narrowed=_NOTHING, limit=10)
    assert [hit.trace_id for hit in hits] == ["t-1"]
    day = datetime(2026, 3, 1, tzinfo=UTC)
    query = TrendQuery(metric="negative_rate", since=day, until=day + timedelta(days=1), step="day")
    assert (await diagnosed.trend(db, PROJECT, query)).series[0].total.n == 1


_NOTHING = Where(sql.SQL("true"))


@pytest.mark.parametrize("name", NAMES)
def test_a_migration_killed_at_any_step_is_finished_by_the_next_start(
    empty: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection dies at the end of the step: the old state holds, and the next goes on."""
    scripts = migrations.available()
    killed = f"{scripts[name].rstrip()}\nselect pg_terminate_backend(pg_backend_pid());\n"
    with monkeypatch.context() as broken:
        broken.setattr(migrations, "available", lambda: scripts | {name: killed})
        with pytest.raises(SetupError, match="start again"):
            migrations.migrate(empty)
    assert migrations.migrate(empty) == NAMES[NAMES.index(name) :]
    assert migrations.migrate(empty) == []


def test_an_old_server_goes_on_beside_a_newer_schema_and_says_so(own_server: Server) -> None:
    """A later version has added columns and tables: it records and reads, until it is replaced."""
    with own_server.client() as client:
        client.post("/v1/traces", json=trace("before", session_id="s"))
        with psycopg.connect(own_server.dsn, autocommit=True) as connection:
            for (table,) in connection.execute(
                "select tablename from pg_tables where schemaname = current_schema() "
                # The queue's tables are its package's; roll-ups of another shape are new tables.
                "and tablename !~ '^(procrastinate|trend_)'"
            ).fetchall():
                connection.execute(
                    sql.SQL("alter table {} add column later text default 'x'").format(
                        sql.Identifier(table)
                    )
                )
            connection.execute("create table later (project_id uuid)")
            connection.execute("insert into migration (name) values ('9999_later')")
        _use(client)
        ready = client.get("/readyz")
        assert (ready.status_code, "newer schema" in ready.json()["warning"]) == (200, True)


def _use(client: httpx2.Client) -> None:
    """Record, change, take back and read, as any client does."""
    sent = [trace("after", session_id="s", context=[{"kind": "document", "content": "new"}])]
    said = [rating("before", 0, author="a"), rating("after", 0, author="a", id="f")]
    assert client.post("/v1/batch", json={"traces": sent, "feedback": said}).json()["stored"] == 3
    assert client.post("/v1/feedback/f/withdraw", json={}).status_code == 200
    trail = client.get("/v1/traces/after").json()
    assert (trail["context"][0]["content"], len(trail["feedback"][0]["history"])) == ("new", 1)
    assert client.get("/v1/sessions/s").json()["turns"] == 2
    for path in ("/v1/feedback?q=negative:yes", "/v1/search?q=invoice", "/v1/changes",
                 "/v1/trends?metric=traces", "/v1/traces?include=contents"):  # fmt: skip
        assert client.get(path).status_code == 200, path
