"""Filling a new project with thirty days of history, and keeping it alive afterwards."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

import teachback
from teachback.demo.api import Api
from teachback.demo.tell import Teller
from teachback.demo.traffic import VISITS, Traffic
from teachback.demo.visit import Visit
from teachback.demo.world import draw
from teachback.errors import Unavailable

DEFAULT_SEED = 7
#: Seconds between visitors, and how much faster than life they read and type.
PACE_S, SPEED = 5.0, 20.0
#: Longest wait for the server to take the history in.
FLUSH_TIMEOUT_S = 120.0

#: Told what is being done and which share of it is done, 0 to 1.
Progress = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What a project was filled with; all 0 when it had traces before."""

    visits: int = 0
    traces: int = 0
    feedback: int = 0


def prepare(
    api_url: str,
    secret_key: str,
    *,
    seed: int = DEFAULT_SEED,
    on_progress: Progress = lambda _text, _share: None,
    visits: int = VISITS,
    spool_dir: Path | None = None,
) -> Prepared:
    """Replay thirty days of history into an empty project; a project in use is left as it is.

    Raises Unavailable when the server does not answer, or takes too long to store it.
    """
    if _has_traces(api_url, secret_key):
        on_progress("the history is there already", 1.0)
        return Prepared()
    world, now = draw(seed), dt.datetime.now(dt.UTC)
    with _telling(api_url, secret_key, spool_dir) as (client, teller):
        for done, visit in enumerate(Traffic(world).past(now, visits=visits)):
            _tell_all(teller, visit, until=now)
            on_progress("replaying 30 days of history", 0.9 * done / visits)
        on_progress("waiting until all of it is stored", 0.9)
        if not client.flush(timeout_s=FLUSH_TIMEOUT_S):
            raise Unavailable("the server has not stored the demo's history in time")
    on_progress("history is ready", 1.0)
    return Prepared(visits=visits, traces=teller.traces, feedback=teller.feedback)


class Live:
    """Visitors who come while the demo runs, on a thread of their own."""

    def __init__(
        self,
        api_url: str,
        secret_key: str,
        *,
        seed: int = DEFAULT_SEED,
        pace_s: float = PACE_S,
        speed: float = SPEED,
        spool_dir: Path | None = None,
    ) -> None:
        """Set up; `pace_s` are the seconds between visits, `speed` how much faster than life."""
        self._place = (api_url, secret_key, spool_dir)
        self._seed, self._pace_s, self._speed = seed, pace_s, speed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="teachback-demo", daemon=True)

    def start(self) -> Live:
        """Let visitors in."""
        self._thread.start()
        return self

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Send the last visitor home and wait until what they said is delivered."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        traffic = Traffic(draw(self._seed), salt=dt.datetime.now(dt.UTC).isoformat())
        with _telling(*self._place) as (_, teller):
            while not self._stopping.wait(self._pace_s):
                self._play(teller, traffic.next(dt.datetime.now(dt.UTC)))

    def _play(self, teller: Teller, visit: Visit) -> None:
        """Play one visit at speed, each thing at the time it happens now."""
        clock = visit.at
        for event in visit.events():
            wait_s = max(0.0, (event.at - clock).total_seconds()) / self._speed
            if self._stopping.wait(wait_s):
                break
            clock = max(clock, event.at)
            teller.tell(event, release=visit.release, at=dt.datetime.now(dt.UTC))
        teller.forget(visit.session_id)


def _tell_all(teller: Teller, visit: Visit, *, until: dt.datetime) -> None:
    for event in visit.events():
        if event.at <= until:
            teller.tell(event, release=visit.release)
    teller.forget(visit.session_id)


def _has_traces(api_url: str, secret_key: str) -> bool:
    api = Api(api_url, secret_key)
    try:
        return bool(api.list("/v1/traces", limit=1))
    except httpx2.HTTPError as error:
        raise Unavailable(f"the server does not answer: {type(error).__name__}") from error
    finally:
        api.close()


@contextmanager
def _telling(
    api_url: str, secret_key: str, spool_dir: Path | None
) -> Iterator[tuple[teachback.Client, Teller]]:
    client = teachback.Client(api_url, secret_key, environment="prod", spool_dir=spool_dir)
    try:
        yield client, Teller(client)
    finally:
        client.close()
