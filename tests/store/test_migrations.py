"""The schema is brought up to date once, from any age, by however many processes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from teachback.errors import SetupError
from teachback.store import migrations


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


def test_four_processes_migrate_once(empty: str) -> None:
    """One works, three wait for it and find nothing to do."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrations.migrate(empty), range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(migrations.available())]


def test_every_step_starts_from_the_one_before(empty: str) -> None:
    """A process killed between two steps leaves a schema that the next one finishes."""
    names = list(migrations.available())
    with psycopg.connect(empty, autocommit=True) as connection:
        assert migrations.pending(connection) == names
        migrations._apply(connection, names[0])
        assert migrations.pending(connection) == names[1:]
    assert migrations.migrate(empty) == names[1:]
    assert migrations.migrate(empty) == []


def test_failed_step_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is one transaction: half of it is none of it."""
    scripts = {"0001_broken": "create table half (id int); select 1/0"}
    monkeypatch.setattr(migrations, "available", lambda: scripts)
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.migrate(empty)
    with psycopg.connect(empty) as connection:
        assert connection.execute("select to_regclass('half')").fetchone() == (None,)
        assert connection.execute("select count(*) from migration").fetchone() == (0,)


def test_newer_schema_is_refused(empty: str) -> None:
    """Older code does not touch a database that newer code has changed."""
    migrations.migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("insert into migration (name) values ('9999_future')")
    with pytest.raises(SetupError, match="9999_future"):
        migrations.migrate(empty)
