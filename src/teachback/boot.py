"""Start the parts in order, and stop them in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import secrets
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp

from teachback.config import Settings
from teachback.errors import Forbidden, NotFound, SetupError
from teachback.llm.chat import Chat
from teachback.llm.embed import Embedder
from teachback.llm.endpoint import KINDS
from teachback.llm.minilm import MiniLM
from teachback.llm.succession import Succession
from teachback.model.ids import new_id
from teachback.model.project import Key, KeyKind, Member, Project
from teachback.record import access
from teachback.server.app import Options, make_app
from teachback.server.gateway.configured import gateway_options
from teachback.store import keys, projects
from teachback.store.database import Database, check_server
from teachback.store.embedded import EmbeddedServer
from teachback.store.embedded import start as start_embedded
from teachback.store.migrations import migrate as apply_migrations
from teachback.store.settings import find_setting, keep_setting, save_setting
from teachback.worker import run_worker

T = TypeVar("T")
Say = Callable[[str], None]

#: Who owns a fresh installation; they sign in by a one-time link, or by a password that
#: `teachback password` sets.
OWNER_EMAIL = "owner@localhost"
#: The setting that holds the address of the latest server.
ADDRESS = "address"
#: In-flight requests get this long to finish when the process is told to stop.
GRACE_S = 25


@dataclass(slots=True)
class Engine:
    """The database this process works on."""

    settings: Settings
    dsn: str
    #: The same past a pooler: migrations and the worker need a server session of their own.
    direct_dsn: str
    embedded: EmbeddedServer | None = None

    def database(self) -> Database:
        """Return a pool on it, not yet open."""
        settings = self.settings
        return Database(
            self.dsn, max_size=settings.database_connections, pooler=settings.database_pooler
        )

    def stop(self) -> None:
        """Release the embedded server, if it is ours."""
        if self.embedded:
            self.embedded.stop()


@contextlib.contextmanager
def engine(settings: Settings, say: Say) -> Iterator[Engine]:
    """Lend the database: the user's own, or the embedded server, started or attached to."""
    if settings.database_url:
        dsn = settings.database_url.get_secret_value()
        direct = settings.database_direct_url
        yield Engine(settings, dsn, direct.get_secret_value() if direct else dsn)
        return
    server = start_embedded(settings.data_dir, on_progress=say)
    started = Engine(settings, server.dsn, server.dsn, server)
    try:
        yield started
    finally:
        started.stop()


def migrate(settings: Settings, say: Say) -> list[str]:
    """Bring the schema up to date; return the names of what was applied."""
    with engine(settings, say) as started:
        asyncio.run(_check(started))
        return apply_migrations(started.direct_dsn)


def serve(settings: Settings, say: Say) -> None:
    """Run API, console and worker until told to stop."""
    listener = listen(settings)  # first of all: a port in use must not cost a half-made start
    with engine(settings, say) as started:
        setup = asyncio.run(prepare(started, say))
        if setup.first_key:
            say(f"your first secret key, shown only now: {setup.first_key}")
        run_http(
            started,
            listener,
            setup.pepper,
            say,
            on_listening=lambda url: _invite(setup, url, say),
        )


def work(settings: Settings, say: Say) -> None:
    """Run a worker alone until told to stop."""
    _configure_logs(settings)
    with engine(settings, say) as started:
        asyncio.run(_work(started, say))


def run_http(
    started: Engine,
    listener: socket.socket,
    pepper: bytes,
    say: Say,
    *,
    mounts: Callable[[str], dict[str, ASGIApp]] = lambda _: {},
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve HTTP until told to stop; `on_listening` gets the address once it answers.

    `mounts` is given the address and returns further applications by their path.
    """
    settings = started.settings
    _configure_logs(settings)
    port = listener.getsockname()[1]
    url = settings.base_url
    if settings.public_url is None:
        url = url.removesuffix(f":{settings.port}") + f":{port}"
    asyncio.run(_note_address(started, url))
    embedder = make_embedder(settings)
    options = Options(
        dsn=started.dsn,
        direct_dsn=started.direct_dsn,
        pepper=pepper,
        public_url=url,
        login_command=_login_command(settings),
        connections=settings.database_connections,
        pooler=settings.database_pooler,
        metrics_public=settings.metrics_public,
        mounts=mounts(url),
        background=_background(started, embedder) if settings.worker else None,
        embedder=embedder,
        gateway=gateway_options(settings),
        chat=make_chat(settings),
        on_stopped=started.stop,
    )
    config = _uvicorn(options, proxied=settings.public_url is not None)
    # What was imported lives for ever, and records die young: looking through all of it after
    # every few hundred objects costs a tenth of the throughput.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    server = _Server(config, on_started=lambda: _listening(url, say, on_listening))
    server.run(sockets=[listener])
    if not server.started:
        raise SetupError("the server could not start: the lines above say why")


def _login_command(settings: Settings) -> str:
    """Return what an administrator types for a new link, wherever the data live."""
    if settings.database_url:
        return "teachback login"
    return f"teachback login --data-dir {shlex.quote(str(settings.data_dir.absolute()))}"


async def _note_address(started: Engine, url: str) -> None:
    """Remember where people find the console, for the links that other commands print."""
    async with opened(started) as db:
        await save_setting(db, ADDRESS, url)


class _Server(uvicorn.Server):
    """Tells when it has begun to answer."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_started()


def _uvicorn(options: Options, *, proxied: bool) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(options),
        access_log=False,
        log_level="warning",
        server_header=False,
        # Whom the client pretends to be matters only behind a proxy of the installation's own.
        proxy_headers=proxied,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )


def _listening(url: str, say: Say, on_listening: Callable[[str], None] | None) -> None:
    say(f"Teachback answers at {url}")
    if on_listening:
        on_listening(url)


def listen(settings: Settings) -> socket.socket:
    """Take the port; raises SetupError when it is in use."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise SetupError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): stop what uses "
            "the port, or choose another with --port or TEACHBACK_PORT"
        ) from error
    return listener


def _background(
    started: Engine, embedder: Embedder | None
) -> Callable[[Database], Awaitable[None]]:
    return lambda db: run_worker(started.direct_dsn, db, embedder)


def make_embedder(settings: Settings) -> Embedder | None:
    """Return what the settings name; raises SetupError when something is missing for it."""
    if settings.embedder == "none":
        return None
    kind, url, key = settings.embedder, settings.embedding_url, _text(settings.embedding_key)
    if kind == "minilm":
        return Succession(MiniLM(), url=url, key=key)
    name, length = settings.embedding_model, settings.embedding_dimensions
    if not url or not name:
        raise SetupError(
            f"TEACHBACK_EMBEDDER is {kind}: set TEACHBACK_EMBEDDING_URL and "
            "TEACHBACK_EMBEDDING_MODEL, or choose minilm or none"
        )
    current = KINDS[kind](url=url, model=name, dimensions=length, key=key, prefix=kind)
    return Succession(current, url=url, key=key)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def make_chat(settings: Settings) -> Chat | None:
    """Return the model that words drafts, if there is one; raises SetupError without its name."""
    if settings.chat_url is None:
        return None
    if not settings.chat_model:
        raise SetupError("TEACHBACK_CHAT_URL is set: set TEACHBACK_CHAT_MODEL, too")
    key = _text(settings.chat_key)
    return Chat(url=settings.chat_url, model=settings.chat_model, key=key)


async def _work(started: Engine, say: Say) -> None:
    await prepare(started, say)
    db = started.database()
    await db.open()
    embedder = make_embedder(started.settings)
    work = asyncio.create_task(run_worker(started.direct_dsn, db, embedder))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    say("the worker runs")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        await db.close()


@dataclass(frozen=True, slots=True)
class Setup:
    """What a fresh or known installation has."""

    pepper: bytes
    owner: Member
    project: Project
    #: The first secret key and login link of a fresh installation; shown once.
    first_key: str | None = None
    login_token: str | None = None


@contextlib.asynccontextmanager
async def opened(started: Engine) -> AsyncIterator[Database]:
    """Lend an open pool for a while."""
    db = started.database()
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def _check(started: Engine) -> None:
    async with opened(started) as db:
        await check_server(db)


async def prepare(started: Engine, say: Say) -> Setup:
    """Check the server, migrate, and set a fresh installation up."""
    await _check(started)
    for name in await asyncio.to_thread(apply_migrations, started.direct_dsn):
        say(f"applied migration {name}")
    async with opened(started) as db:
        pepper = await _pepper(db, started.settings)
        async with db.alone():  # several processes may start at once, on a fresh database too
            return await _setup(db, pepper)


async def _setup(db: Database, pepper: bytes) -> Setup:
    owner = await projects.first_member(db)
    known = await projects.list_projects(db)
    if owner is not None and known:
        return Setup(pepper, owner, known[0])
    project = known[0] if known else await access.make_project(db, "My application")
    owner = Member(id=new_id(), email=OWNER_EMAIL, name="Owner", roles={project.id: "owner"})
    await projects.save_member(db, owner)
    key = await access.make_key(db, pepper, project.id, kind="secret", name="first")
    link = await access.make_login(db, owner.id, kind="link", lifetime=access.LINK_LIFETIME)
    return Setup(pepper, owner, project, key.secret, link)


def _invite(setup: Setup, url: str, say: Say) -> None:
    if setup.login_token:
        say(f"sign in once, within 15 minutes: {url}/login/{setup.login_token}")


async def _pepper(db: Database, settings: Settings) -> bytes:
    """Return the key that peppers hashes; all processes on one database must have the same."""
    if settings.secret_key:
        pepper = settings.secret_key.get_secret_value().encode()
    else:
        pepper = _pepper_file(settings.data_dir)
    fingerprint = hashlib.sha256(b"teachback pepper " + pepper).hexdigest()[:16]
    if await keep_setting(db, "pepper_fingerprint", fingerprint) != fingerprint:
        raise SetupError(
            "the secret key differs from the one this database was set up with: set "
            "TEACHBACK_SECRET_KEY (or TEACHBACK_SECRET_KEY_FILE) to the same value everywhere"
        )
    return pepper


def _pepper_file(data_dir: Path) -> bytes:
    path = data_dir / "secret.key"
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        create_private(path, secrets.token_hex(32))
    return path.read_bytes().strip()


def create_private(path: Path, text: str) -> None:
    """Make a file that only we can read, whole or not at all; one made meanwhile is kept."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # what it opens is lost with it
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


@dataclass(slots=True)
class Admin:
    """What the command line does to an installation."""

    db: Database
    setup: Setup
    settings: Settings

    async def create_key(
        self, project: str | None, kind: KeyKind, name: str, email: str | None = None
    ) -> dict[str, str]:
        """Make a key, for a member when `email` is given; its text is under `secret`."""
        project_id = await self._project_id(project)
        member_id = await self._member_id(project_id, email) if email else None
        new = await access.make_key(
            self.db, self.setup.pepper, project_id, kind=kind, name=name, member_id=member_id
        )
        return _key_words(new.key) | {"secret": new.secret}

    async def list_keys(self, project: str | None) -> list[dict[str, str]]:
        """Return the keys as words."""
        found = await keys.list_keys(self.db, await self._project_id(project))
        return [_key_words(key) for key in found]

    async def revoke_key(self, project: str | None, key_id: str) -> None:
        """End a key; raises NotFound."""
        await keys.revoke_key(self.db, await self._project_id(project), key_id)

    async def login_link(self, *, lifetime: timedelta = access.LINK_LIFETIME) -> str:
        """Return an address that signs the owner in once."""
        address = await find_setting(self.db, ADDRESS) or self.settings.base_url
        return f"{address}/login/{await self.login_token(lifetime=lifetime)}"

    async def set_password(self, email: str, password: str) -> None:
        """Give a member a password, and end their logins; raises NotFound or Invalid."""
        member = await self._member(email)
        await projects.set_password(self.db, member.id, access.hash_password(password))

    async def login_token(self, *, lifetime: timedelta) -> str:
        """Return a token that signs the owner in once."""
        owner = self.setup.owner
        return await access.make_login(self.db, owner.id, kind="link", lifetime=lifetime)

    async def _member(self, email: str) -> Member:
        found = await projects.find_member(self.db, email)
        if found is None:
            raise NotFound(f"no member has the e-mail address {email!a}")
        return found[0]

    async def _member_id(self, project_id: str, email: str) -> str:
        member = await self._member(email)
        if project_id not in member.roles:
            raise Forbidden(f"{email!a} is no member of this project")
        return member.id

    async def _project_id(self, given: str | None) -> str:
        return (await projects.get_project(self.db, given)).id if given else self.setup.project.id


def _key_words(key: Key) -> dict[str, str]:
    return {
        "id": key.id,
        "kind": key.kind,
        "name": key.name,
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "revoked_at": key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else "",
    }


async def administer(settings: Settings, task: Callable[[Admin], Awaitable[T]], say: Say) -> T:
    """Run one administrative task on the installation."""
    with engine(settings, say) as started:
        setup = await prepare(started, say)
        async with opened(started) as db:
            return await task(Admin(db, setup, settings))


def _configure_logs(settings: Settings) -> None:
    level = getattr(logging, settings.log_level.upper())
    logging.basicConfig(
        level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )
