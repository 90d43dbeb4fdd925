"""Run the product with its demo: history first, then visitors, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starlette.types import ASGIApp

from teachback import boot
from teachback.config import Settings
from teachback.demo import app as story
from teachback.demo import run
from teachback.demo.chat_model import ChatModel
from teachback.errors import Conflict, TeachbackError
from teachback.model.ids import new_id
from teachback.model.project import Member
from teachback.store.projects import save_member

#: People look at the demo now and then for a day; the link still signs in only once.
LINK_LIFETIME = timedelta(days=1)

#: Who approves lessons on the story page.
VISITOR = "visitor@localhost"

#: Told what is done and which share of it.
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class _Keys:
    secret: str
    public: str
    #: Acts for the visitor, who approves lessons on the story page.
    reviewer: str


class Showcase:
    """One run of the demo."""

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int,
        live: bool,
        browser: bool,
        say: boot.Say,
        progress: Progress,
    ) -> None:
        """Prepare; `browser=True` opens the visitor's browser once the history is there."""
        self._settings, self._seed = settings, seed
        self._live, self._browser = live, browser
        self._say, self._progress = say, progress
        self._visitors: run.Live | None = None

    def run(self) -> None:
        """Run until told to stop."""
        listener = boot.listen(self._settings)
        with boot.engine(self._settings, self._say) as engine:
            setup = asyncio.run(boot.prepare(engine, self._say))
            keys = asyncio.run(self._keys(engine, setup))
            link = asyncio.run(self._link(engine, setup))
            try:
                boot.run_http(
                    engine,
                    listener,
                    setup.pepper,
                    self._say,
                    mounts=lambda url: {"/demo": self._story(url, keys)},
                    on_listening=lambda url: self._begin(url, keys, link),
                )
            finally:
                if self._visitors:
                    self._visitors.stop()

    def _story(self, url: str, keys: _Keys) -> ASGIApp:
        return story.app(
            url, keys.secret, keys.public, keys.reviewer, seed=self._seed, model=self._model(),
            spool_dir=self._spool("story"),
        )  # fmt: skip

    def _model(self) -> ChatModel | None:
        base_url, key = self._settings.openai_base_url, self._settings.openai_api_key
        if not base_url:
            self._say("no OPENAI_BASE_URL: the assistant answers by retrieval and templates")
            return None
        api_key = key.get_secret_value() if key else ""
        return ChatModel(base_url, api_key=api_key, name=self._settings.demo_model)

    def _begin(self, url: str, keys: _Keys, link: str) -> None:
        """Fill the project and let visitors in, beside the server that has just begun."""
        thread = threading.Thread(target=self._fill, args=(url, keys, link), daemon=True)
        thread.start()

    def _fill(self, url: str, keys: _Keys, link: str) -> None:
        try:
            run.prepare(
                url, keys.secret, seed=self._seed, on_progress=self._progress,
                spool_dir=self._spool("history"),
            )  # fmt: skip
        except TeachbackError as error:
            self._say(f"the history could not be replayed: {error.message}")
        self._say(f"open {url}{link}")
        self._say("Ctrl-C stops it; the same command goes on where it ended")
        if self._browser:
            webbrowser.open(url + link)
        if self._live:
            self._visitors = run.Live(
                url, keys.secret, seed=self._seed, spool_dir=self._spool("live")
            ).start()

    def _spool(self, name: str) -> Path:
        return self._settings.data_dir / "spool" / name

    async def _keys(self, engine: boot.Engine, setup: boot.Setup) -> _Keys:
        """Return the demo's keys: made at its first start, then kept beside the data."""
        path = self._settings.data_dir / "demo-keys.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if "reviewer" not in kept:
            async with boot.opened(engine) as db:
                kept = await self._make_keys(boot.Admin(db, setup, self._settings)) | kept
            path.unlink(missing_ok=True)
            boot.create_private(path, json.dumps(kept))
        return _Keys(**kept)

    async def _make_keys(self, admin: boot.Admin) -> dict[str, str]:
        visitor = Member(
            id=new_id(), email=VISITOR, name="Visitor", roles={admin.setup.project.id: "reviewer"}
        )
        with contextlib.suppress(Conflict):  # an earlier start was stopped in between
            await save_member(admin.db, visitor)
        secret = await admin.create_key(None, "secret", "demo")
        public = await admin.create_key(None, "public", "demo")
        reviewer = await admin.create_key(None, "secret", "story page", VISITOR)
        return {
            "secret": secret["secret"],
            "public": public["secret"],
            "reviewer": reviewer["secret"],
        }

    async def _link(self, engine: boot.Engine, setup: boot.Setup) -> str:
        """Return the path that signs the visitor in and leads to the story."""
        async with boot.opened(engine) as db:
            admin = boot.Admin(db, setup, self._settings)
            return f"/login/{await admin.login_token(lifetime=LINK_LIFETIME)}?next=/demo/"
