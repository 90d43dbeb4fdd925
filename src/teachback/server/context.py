"""What every request handler needs, made once per process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from starlette.requests import HTTPConnection

from teachback.errors import Unavailable
from teachback.llm.chat import Chat
from teachback.llm.embed import Embedder
from teachback.model.project import Project
from teachback.recall.inject import Injector
from teachback.recall.live import Live
from teachback.record.access import check_secret, public_part
from teachback.record.writer import Writer
from teachback.server.attempts import Attempts
from teachback.server.gateway.gateway import Gateway
from teachback.server.metrics import Metrics
from teachback.store import keys, projects
from teachback.store.database import Database
from teachback.store.keys import StoredKey

#: A revoked key or changed list of reasons is noticed by every replica within this time.
CACHE_S = 3.0
#: Where an answer must not wait for the database: how long it is asked, and how long the last
#: answer holds when it cannot say. Nothing can be revoked meanwhile.
ASK_S, LAST_S = 0.25, 24 * 3600.0
#: Wrong passwords within a quarter of an hour: for one e-mail address, and from one client
#: address, behind which a whole office may sit.
SIGN_IN_WINDOW_S = 900.0
TRIES_PER_EMAIL, TRIES_PER_CLIENT = 10, 100

T = TypeVar("T")


class Cache(Generic[T]):
    """Values that may be a few seconds old; bounded."""

    def __init__(self, *, lifetime_s: float = CACHE_S, limit: int = 10_000) -> None:
        #: Until when a value holds, when it was read, and the value.
        self._entries: dict[str, tuple[float, float, T]] = {}
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

    async def read_or_last(self, name: str, read: Callable[[], Coroutine[object, object, T]]) -> T:
        """As `read`, but when that takes too long or fails, the last value holds."""
        found, value = self.get(name)
        if found:  # nearly always: it costs no timer
            return cast("T", value)
        try:
            async with asyncio.timeout(ASK_S):
                return await self.read(name, read)
        except (TimeoutError, Unavailable):
            last = self._entries.get(name)
            now = time.monotonic()
            if last is None or last[1] + LAST_S < now:
                raise Unavailable("the database is away: it has to know this key first") from None
            self._entries[name] = (now + self._lifetime_s, last[1], last[2])
            return last[2]

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
        return True, entry[2]

    def put(self, name: str, value: T) -> T:
        if len(self._entries) >= self._limit:
            self._entries.clear()
        now = time.monotonic()
        self._entries[name] = (now + self._lifetime_s, now, value)
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
    gateway: Gateway
    metrics_public: bool = False
    #: Makes vectors of what is searched for; None searches by word alone.
    embedder: Embedder | None = None
    #: Words drafts of lessons; None words them by templates alone.
    chat: Chat | None = None
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

    async def key(self, secret: str, *, or_last: bool = False) -> StoredKey:
        """Return the live key that this text proves; raises Unauthenticated.

        `or_last` takes what was known last when the database cannot be asked.
        """
        name = public_part(secret)
        stored = await self.key_by_id(name, or_last=or_last) if name else None
        check_secret(stored, self.pepper, secret)
        assert stored is not None  # check_secret refuses an unknown key
        return stored

    async def key_by_id(self, key_id: str, *, or_last: bool = False) -> StoredKey | None:
        """Return a live key by its public id, to check what it signed."""
        read = self._keys.read_or_last if or_last else self._keys.read
        return await read(key_id, lambda: keys.find_key(self.db, key_id))

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
