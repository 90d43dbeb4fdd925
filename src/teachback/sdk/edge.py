"""Local recall: live lessons in the application's memory, matched without any network.

A background thread asks the server for what has changed, and is answered as soon as something
has. While the server is away, what was known last stays in use. Needs the extra `edge`.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import numpy as np

from teachback.core.choose import ExactGate, Gate
from teachback.core.decide import Injected, decide
from teachback.core.nearest import Nearest
from teachback.model.lesson import Lesson, LessonKind, LessonState, Scope
from teachback.model.recall import Ask, Rules
from teachback.sdk.guard import say_failure, say_once
from teachback.sdk.static import StaticModel, Vector

#: How long the server may think about whether something has changed, and to answer.
WAIT_S, TIMEOUT_S = 5.0, 10.0
#: Pauses after failures, in seconds; after a refused key the last one.
PAUSE_S, MAX_PAUSE_S = 0.5, 10.0
#: Refused: the key has no right to lessons any more, so none of them is used any more.
_REFUSED = (401, 403)


class LessonOut(msgspec.Struct, kw_only=True):
    """A lesson in force, as the server tells it."""

    id: str
    kind: LessonKind
    state: LessonState
    version: int
    situation: str
    text: str
    updated_at: datetime
    approved_at: datetime | None = None
    answer: str | None = None
    scope: Scope = Scope()
    priority: int = 0
    expires_at: datetime | None = None
    killed_at: datetime | None = None
    superseded_by: str | None = None
    helpful: int = 0
    harmful: int = 0


class LiveOut(msgspec.Struct, kw_only=True):
    """All that is needed to choose as the server does."""

    salt: str
    rules: dict[str, Any]
    lessons: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Known:
    """What the server said last."""

    nearest: Nearest
    rules: Rules
    salt: str


class Edge:
    """Holds live lessons, and decides by them in the calling thread."""

    def __init__(self, url: str, key: str, *, gate: Gate | None = None) -> None:
        self._url, self._key, self._gate = url, key, gate or ExactGate()
        self._model = StaticModel()
        self._vectors: dict[str, Vector] = {}
        self._known: Known | None = None
        self._tag = ""
        self._stop = threading.Event()
        self._start()

    @property
    def ready(self) -> bool:
        """Whether the server's lessons are here."""
        return self._known is not None

    def inject(self, ask: Ask) -> Injected | None:
        """Return what a request is given; None before the server has said anything."""
        known = self._known
        if known is None:
            return None
        if not known.nearest.lessons:
            return Injected(outcome="no_lessons")
        vector = self._model.embed(ask.query) if self._gate.by_meaning else None
        return decide(
            known.nearest.matches(ask, vector), ask, known.rules, gate=self._gate, salt=known.salt,
            now=datetime.now(UTC), alike=known.nearest.alike,
        )  # fmt: skip

    def take(self, body: bytes) -> None:
        """Use what the server has answered; lessons of kinds not known here are left out."""
        live = msgspec.json.decode(body, type=LiveOut)
        lessons = [lesson for raw in live.lessons if (lesson := _lesson(raw, live.salt))]
        texts = {lesson.situation for lesson in lessons}
        self._vectors = {text: row for text, row in self._vectors.items() if text in texts}
        rows = np.zeros((len(lessons), self._model.dimensions), np.float32)
        for at, lesson in enumerate(lessons):
            rows[at] = self._vector(lesson.situation)
        self._known = Known(Nearest(lessons, rows), Rules.of(live.rules), live.salt)

    def stop(self) -> None:
        """Ask no more; what is known stays in use."""
        self._stop.set()

    def after_fork(self) -> None:
        """Go on in the child, where no thread of ours runs."""
        self._stop = threading.Event()
        self._start()

    def _vector(self, text: str) -> Vector:
        row = self._vectors.get(text)
        if row is None:
            row = self._vectors[text] = self._model.embed(text)
        return row

    def _start(self) -> None:
        stop = self._stop
        thread = threading.Thread(
            target=self._follow, args=(stop,), name="teachback-lessons", daemon=True
        )
        thread.start()

    def _follow(self, stop: threading.Event) -> None:
        pause_s = PAUSE_S
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx2.Client(headers=headers, timeout=TIMEOUT_S) as client:
            while not stop.is_set():
                if self._update(client):
                    pause_s = PAUSE_S
                    continue
                stop.wait(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause_s = min(pause_s * 2, MAX_PAUSE_S)

    def _update(self, client: httpx2.Client) -> bool:
        """Wait for a change and take it; False when the server did not answer as it should."""
        try:
            wait = WAIT_S if self._tag else 0
            answer = client.get(
                f"{self._url}/v1/recall/lessons", params={"wait": wait},
                headers={"if-none-match": self._tag} if self._tag else {},
            )  # fmt: skip
            if answer.status_code == 200:
                self.take(answer.content)
                self._tag = answer.headers.get("etag", "")
            elif answer.status_code in _REFUSED:
                self._known, self._tag = None, ""
                say_once("teachback: the key may not read lessons; local recall has none")
        except httpx2.HTTPError:
            return False
        except Exception as error:
            say_failure("local recall", error)
            return False
        return answer.status_code in (200, 304)


def _lesson(raw: msgspec.Raw, project_id: str) -> Lesson | None:
    try:
        out = msgspec.json.decode(raw, type=LessonOut)
    except msgspec.ValidationError:
        return None
    return Lesson(
        **msgspec.structs.asdict(out), project_id=project_id, author="", latest=out.version,
        created_at=out.updated_at,
    )  # fmt: skip
