"""Prompts in the application: kept in memory, refreshed behind it, there while no server is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import httpx2
import msgspec

from teachback.core.assign import in_canary
from teachback.errors import NotFound, TeachbackError, Unavailable
from teachback.model.recall import Ask, Rules

#: A prompt may be this old before it is asked for again, behind the one who uses it.
FRESH_S = 10.0
#: After a failure the server is left alone for so long.
REST_S = 5.0
#: Longest that the very first use waits; later ones never do.
TIMEOUT_S = 3.0
#: Prompts of one application.
MAX_PROMPTS = 1_000


class PromptText(str):
    """A prompt's text that knows which version of which prompt it is."""

    __slots__ = ("name", "version")

    name: str
    #: As the server numbers it; empty for the application's own fallback.
    version: str

    def __new__(cls, text: str, *, name: str, version: str) -> Self:
        """Make a text like any other string."""
        made = super().__new__(cls, text)
        made.name, made.version = name, version
        return made


class _Version(msgspec.Struct):
    version: str
    text: str


class _Served(msgspec.Struct):
    production: _Version | None = None
    canary: _Version | None = None
    canary_share: float = 0.0
    salt: str = ""


@dataclass(slots=True)
class _Kept:
    served: _Served | None = None
    tag: str = ""
    #: Monotonic time from which it is asked for again.
    stale_at: float = 0.0
    #: Why there is none; None before it was asked for.
    failure: TeachbackError | None = None
    refreshing: bool = False


class Prompts:
    """What was served to this application."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.after_fork()

    def get(self, name: str, *, user_id: str | None, session_id: str | None) -> PromptText:
        """Return the prompt for this end user; raises NotFound or Unavailable."""
        with self._lock:
            if len(self._kept) >= MAX_PROMPTS and name not in self._kept:
                self._kept.clear()
            kept = self._kept.setdefault(name, _Kept())
            is_stale = time.monotonic() >= kept.stale_at
            if is_stale and kept.served is not None and not kept.refreshing:
                kept.refreshing = True
                thread = threading.Thread(target=self._refresh, args=(name, kept), daemon=True)
                thread.start()
        if is_stale and kept.served is None:
            self._refresh(name, kept)
        if kept.served is None:
            raise kept.failure or Unavailable(f"the prompt {name!a} could not be read")
        return _chosen(name, kept.served, Ask(query="", user_id=user_id, session_id=session_id))

    def after_fork(self) -> None:
        """Begin anew: a lock of the parent may be held for ever."""
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def _refresh(self, name: str, kept: _Kept) -> None:
        rest_s = REST_S
        try:
            self._read(name, kept)
            rest_s = FRESH_S
        except TeachbackError as error:
            kept.failure = error  # an earlier text stays in use
        except Exception as error:
            kept.failure = Unavailable(f"the prompt could not be read: {type(error).__name__}")
        finally:
            kept.stale_at = time.monotonic() + rest_s
            kept.refreshing = False

    def _read(self, name: str, kept: _Kept) -> None:
        headers = self._headers | ({"If-None-Match": kept.tag} if kept.tag else {})
        answer = httpx2.get(
            f"{self._url}/v1/prompts/{quote(name, safe='')}", headers=headers, timeout=TIMEOUT_S
        )
        if answer.status_code == 304 and kept.served is not None:
            return
        if answer.status_code == 404:
            raise NotFound(f"the server has no prompt {name!a}")
        if not answer.is_success:
            raise Unavailable(f"the server answered {answer.status_code} for a prompt")
        kept.served = msgspec.json.decode(answer.content, type=_Served)
        kept.tag = answer.headers.get("etag", "")


def _chosen(name: str, served: _Served, ask: Ask) -> PromptText:
    rules = Rules(canary=served.canary_share)
    trying = served.canary is not None and in_canary(served.salt, ask, rules, f"prompt:{name}")
    version = served.canary if trying and _has_unit(ask) else served.production
    if version is None:
        raise NotFound(f"no version of the prompt {name!a} is in production")
    return PromptText(version.text, name=name, version=version.version)


def _has_unit(ask: Ask) -> bool:
    """Tell whether there is somebody to whom the choice can stick."""
    return bool(ask.user_id or ask.session_id)
