"""Say what is wrong with a set-up and how to mend it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from teachback import boot
from teachback.config import Settings
from teachback.errors import TeachbackError
from teachback.server.gateway.configured import find_upstreams
from teachback.store import migrations
from teachback.store.database import check_server, psycopg

#: Below this share of free disk, PostgreSQL is about to stop.
MIN_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    ok: bool
    #: What was found, and when it is wrong, how to mend it.
    text: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def examine(load: Callable[[], Settings]) -> list[Finding]:
    """Look at Python, settings, upstreams, disk, database, schema; never raises."""
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [Finding("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer)")]
    try:
        settings = load()
    except TeachbackError as error:
        return [*findings, Finding("settings", False, error.message)]
    findings.append(Finding("settings", True, "all names and values are known"))
    findings.append(_upstreams(settings))
    findings.append(_disk(settings))
    return [*findings, *_database(settings)]


def _upstreams(settings: Settings) -> Finding:
    try:
        found = find_upstreams(settings).all
    except TeachbackError as error:
        return Finding("upstreams", False, error.message)
    names = ", ".join(upstream.name for upstream in found)
    return Finding("upstreams", True, names or "none: the gateway has nobody to ask")


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    text = f"{usage.free / 1e9:.0f} GB free ({share:.0%}) for {settings.data_dir}"
    ok = share >= MIN_FREE
    return Finding("disk", ok, text if ok else f"{text}: free some, or set TEACHBACK_DATA_DIR")


def _database(settings: Settings) -> Iterator[Finding]:
    kind = "your own" if settings.database_url else "embedded"
    try:
        with boot.engine(settings, lambda _: None) as started:
            facts = asyncio.run(_facts(started))
            number = str(facts["version"])
            version = f"PostgreSQL {int(number) // 10000}.{int(number) % 10000}"
            yield Finding("database", True, f"{version}, {kind}, with pgvector")
            yield _schema(started)
    except TeachbackError as error:
        yield Finding("database", False, error.message)
    except psycopg.Error as error:
        yield Finding("database", False, f"{type(error).__name__}: check DATABASE_URL")


def _schema(started: boot.Engine) -> Finding:
    with psycopg.connect(started.direct_dsn, autocommit=True) as connection:
        waiting = migrations.pending(connection)
    if waiting:
        text = f"{len(waiting)} migrations wait: start `teachback serve` or `teachback migrate`"
        return Finding("schema", False, text)
    return Finding("schema", True, "up to date")


async def _facts(started: boot.Engine) -> dict[str, object]:
    async with boot.opened(started) as db:
        return await check_server(db)
