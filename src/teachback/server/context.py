"""What every request handler needs, made once per process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from starlette.requests import HTTPConnection

from teachback.llm.embed import Embedder
from teachback.model.project import Project
from teachback.recall.inject import Injector
from teachback.recall.live import Live
from teachback.record.access import check_secret, public_part
from teachback.record.writer import Writer
from teachback.server.attempts import Attempts
from teachback.server.metrics import Metrics
from teachback.store import keys, projects
from teachback.store.database import Database
from teachback.store.keys import StoredKey

#: A revoked key or changed list of reasons is noticed by every replica within this time.
CACHE_S = 3.0
#: Wrong passwords within a quarter of an hour: for one e-mail address, and from one client
#: address, behind which a whole office may sit.
SIGN_IN_WINDOW_S = 900.0
TRIES_PER_EMAIL, TRIES_PER_CLIENT = 10, 100

T = TypeVar("T")


class Cache(Generic[T]):
    """Values that may be a few seconds old; bounded."""

    def __init__(self, *, lifetime_s: float = CACHE_S, limit: int = 10_000) -> None:
        self._entries: dict[str, tuple[float, T]] = {}
        self._reading: dict[str, asyncio.Task[T]] = {}
        self._lifetime_s = lifetime_s
        self._limit = limit

    async def read(self, name: str, read: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return the value, read anew when it is too old.

        Whoever asks meanwhile waits for the same reading: a crowd behind one key would take all
        connections to learn the same thing.
        """
        found, value = self.get(name)
        if found:
            return cast("T", value)
        reading = self._reading.get(name)
        if reading is None:
            reading = self._reading[name] = asyncio.create_task(read())
            reading.add_done_callback(lambda done: self._end(name, done))
        # One who gives up does not stop it for the others.
        return await asyncio.shield(reading)

    def _end(self, name: str, done: asyncio.Task[T]) -> None:
        if self._reading.get(name) is done:
            del self._reading[name]
            if not done.cancelled() and done.exception() is None:
                self.put(name, done.result())

    def get(self, name: str) -> tuple[bool, T | None]:
        """Return (found, value)."""
        entry = self._entries.get(name)
        if entry is None or entry[0] < time.monotonic():
            return False, None
        return True, entry[1]

    def put(self, name: str, value: T) -> T:
        if len(self._entries) >= self._limit:
            self._entries.clear()
        self._entries[name] = (time.monotonic() + self._lifetime_s, value)
        return value

    def forget(self, name: str) -> None:
        """Have it read anew; a reading under way does not count any more."""
        self._entries.pop(name, None)
        self._reading.pop(name, None)


@dataclass(slots=True)
class Context:
    """The process's database, writer, caches and metrics."""

    db: Database
    writer: Writer
    #: Lessons in memory, and what gives them to requests.
    live: Live
    injector: Injector
    pepper: bytes
    public_url: str
    metrics: Metrics
    metrics_public: bool = False
    #: Makes vectors of what is searched for; None searches by word alone.
    embedder: Embedder | None = None
    #: What prints a new sign-in link.
    login_command: str = "teachback login"
    #: Set when the process is about to stop: /readyz says so and balancers look elsewhere.
    stopping: bool = False
    #: False when this process should have a worker and it died.
    worker_alive: bool = True
    sign_ins_by_email: Attempts = field(
        default_factory=lambda: Attempts(limit=TRIES_PER_EMAIL, window_s=SIGN_IN_WINDOW_S)
    )
    sign_ins_by_client: Attempts = field(
        default_factory=lambda: Attempts(limit=TRIES_PER_CLIENT, window_s=SIGN_IN_WINDOW_S)
    )
    _keys: Cache[StoredKey | None] = field(default_factory=Cache)
    _projects: Cache[Project] = field(default_factory=Cache)

    async def key(self, secret: str) -> StoredKey:
        """Return the live key that this text proves; raises Unauthenticated."""
        name = public_part(secret)
        stored = await self.key_by_id(name) if name else None
        check_secret(stored, self.pepper, secret)
        assert stored is not None  # check_secret refuses an unknown key
        return stored

    async def key_by_id(self, key_id: str) -> StoredKey | None:
        """Return a live key by its public id, to check what it signed."""
        return await self._keys.read(key_id, lambda: keys.find_key(self.db, key_id))

    async def project(self, project_id: str) -> Project:
        """Return a project, at most a few seconds old."""
        return await self._projects.read(
            project_id, lambda: projects.get_project(self.db, project_id)
        )

    def forget_key(self, key_id: str) -> None:
        self._keys.forget(key_id)

    def forget_project(self, project_id: str) -> None:
        self._projects.forget(project_id)


def context(connection: HTTPConnection) -> Context:
    """Return the process's context."""
    found: Context = connection.app.state.context
    return found
