"""Shared fixtures: a real PostgreSQL, a database for each test, a running server, people."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx2
import psycopg
import pytest
import uvicorn
from psycopg import sql
from psycopg.conninfo import make_conninfo
from starlette.types import ASGIApp

from teachback.bench.product import scratch
from teachback.llm.embed import Embedder
from teachback.model.ids import new_id
from teachback.model.project import Member, Project
from teachback.record import access
from teachback.server.app import Options, make_app
from teachback.server.gateway.gateway import GatewayOptions
from teachback.store import projects
from teachback.store.database import Database
from teachback.store.embedded import start
from teachback.store.migrations import migrate
from teachback.store.settings import keep_setting
from teachback.worker import run_worker

PEPPER = b"a pepper for tests"
TEMPLATE = "teachback_template"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server: embedded, or the one the matrix names."""
    given = os.environ.get("TEACHBACK_TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Not below pytest's own folder: a second run of pytest closes that to PostgreSQL's account.
    with scratch() as folder, start(folder / "pg") as server:
        yield server.dsn


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """The name of a migrated database to clone, which takes milliseconds."""
    name = f"{TEMPLATE}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    migrate(make_conninfo(postgres, dbname=name))
    return name


@contextlib.contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    """The address of a database cloned from the template, gone afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    statement = sql.SQL("create database {} template {}")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    yield make_conninfo(postgres, dbname=name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        drop = sql.SQL("drop database if exists {} with (force)")
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture
def dsn(postgres: str, template: str) -> Iterator[str]:
    """The address of a fresh, migrated database for this test alone."""
    with fresh_database(postgres, template) as address:
        yield address


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def db(dsn: str, anyio_backend: str) -> AsyncIterator[Database]:
    """An open pool on a fresh database."""
    database = Database(dsn, max_size=4)
    await database.open()
    yield database
    await database.close()


@dataclass(frozen=True, slots=True)
class Installation:
    """A project with its people and keys."""

    project: Project
    #: Alice owns the project.
    alice: Member
    secret_key: str
    public_key: str
    #: Signs Alice in once, at /login/TOKEN.
    login_token: str


async def install(db: Database) -> Installation:
    """Set up a project as a first start does."""
    await keep_setting(db, "pepper_fingerprint", "test")
    project = await access.make_project(db, "Support")
    alice = Member(
        id=new_id(),
        email=f"alice-{uuid.uuid4().hex[:8]}@example.com",
        name="Alice",
        roles={project.id: "owner"},
    )
    await projects.save_member(db, alice)
    secret = await access.make_key(db, PEPPER, project.id, kind="secret", name="server")
    public = await access.make_key(db, PEPPER, project.id, kind="public", name="page")
    token = await access.make_login(db, alice.id, kind="link", lifetime=timedelta(hours=1))
    return Installation(project, alice, secret.secret, public.secret, token)


@dataclass(frozen=True, slots=True)
class Server:
    """The product, answering on loopback."""

    url: str
    dsn: str
    installation: Installation

    @property
    def secret_key(self) -> str:
        return self.installation.secret_key

    @property
    def public_key(self) -> str:
        return self.installation.public_key

    def client(self, key: str | None = None, **headers: str) -> httpx2.Client:
        """Return an HTTP client that sends the secret key, or another."""
        given = {"authorization": f"Bearer {key or self.secret_key}"} | headers
        return httpx2.Client(base_url=self.url, headers=given, timeout=30)


@contextlib.contextmanager
def serving(
    dsn: str,
    *,
    mounts: dict[str, ASGIApp] | None = None,
    gateway: GatewayOptions | None = None,
    embedder: Embedder | None = None,
) -> Iterator[str]:
    """The real application with a worker, in a thread, at the address given."""
    options = Options(
        dsn=dsn,
        pepper=PEPPER,
        public_url="http://127.0.0.1",
        background=lambda db: run_worker(dsn, db),
        mounts=mounts or {},
        gateway=gateway or GatewayOptions(),
        embedder=embedder,
    )
    config = uvicorn.Config(make_app(options), host="127.0.0.1", port=0, log_level="warning")
    process = uvicorn.Server(config)
    thread = threading.Thread(target=process.run, daemon=True)
    thread.start()
    while not process.started and thread.is_alive():
        thread.join(0.01)
    assert process.started, "the server did not start"
    yield f"http://127.0.0.1:{process.servers[0].sockets[0].getsockname()[1]}"
    process.should_exit = True
    thread.join(30)


@pytest.fixture(scope="session")
def shared_server(postgres: str, template: str) -> Iterator[tuple[str, str]]:
    """The address and the database of one server for all tests that need nothing else."""
    with fresh_database(postgres, template) as dsn, serving(dsn) as url:
        yield url, dsn


@pytest.fixture
def server(shared_server: tuple[str, str]) -> Server:
    """The product with a project of its own for each test."""
    url, dsn = shared_server
    return Server(url, dsn, asyncio.run(_install(dsn)))


@pytest.fixture
def own_server(dsn: str) -> Iterator[Server]:
    """A server and database for this test alone: for tests that break things."""
    with serving(dsn) as url:
        yield Server(url, dsn, asyncio.run(_install(dsn)))


async def _install(dsn: str) -> Installation:
    database = Database(dsn, max_size=2)
    await database.open()
    try:
        return await install(database)
    finally:
        await database.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """An HTTP client with the project's secret key."""
    with server.client() as opened:
        yield opened


@pytest.fixture
def data() -> SimpleNamespace:
    """The loaders of the public data sets, as functions: data.banking77(), ..."""
    folder = Path(os.environ.get("TEACHBACK_DATA", "."))
    if not (folder / "load.py").is_file():
        pytest.skip("no development data: set TEACHBACK_DATA to the folder that holds load.py")
    return SimpleNamespace(**runpy.run_path(str(folder / "load.py")))
