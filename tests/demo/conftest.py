"""The product with the demo's story page, and a visitor's browser on it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from conftest import PEPPER, Installation, Server, fresh_database, install
from support.watching import Watched, watch
from teachback.demo.app import app
from teachback.record import access
from teachback.server.app import Options, make_app
from teachback.store.database import Database

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="session")
def story(
    postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The real application with the demo under /demo; visitors are kept apart by their cookies."""
    with fresh_database(postgres, template) as dsn:
        yield from _serving(dsn, tmp_path_factory.mktemp("spool"))


def _serving(dsn: str, spool_dir: Path) -> Iterator[Server]:
    installation = asyncio.run(_install(dsn))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        keys = (
            installation.secret_key,
            installation.public_key,
            asyncio.run(_reviewer(dsn, installation)),
        )
        demo = app(url, *keys, seed=7, spool_dir=spool_dir)
        options = Options(dsn=dsn, pepper=PEPPER, public_url=url, mounts={"/demo": demo})
        process = uvicorn.Server(uvicorn.Config(make_app(options), log_level="warning"))
        thread = threading.Thread(target=process.run, args=([listening],), daemon=True)
        thread.start()
        while not process.started and thread.is_alive():
            thread.join(0.01)
        yield Server(url, dsn, installation)
        demo.state.story.close()
        process.should_exit = True
        thread.join(30)


@pytest.fixture
def visitor(story: Server) -> Iterator[Watched]:
    """A new visitor's browser on the story page."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=story.url, viewport={"width": 1280, "height": 900})
        watched = Watched(page)
        watch(watched, story.url)
        page.goto("/demo/")
        yield watched
        browser.close()


async def _reviewer(dsn: str, installation: Installation) -> str:
    """A key that acts for Alice."""
    database = Database(dsn, max_size=2)
    await database.open()
    try:
        made = await access.make_key(
            database, PEPPER, installation.project.id, kind="secret", name="story page",
            member_id=installation.alice.id,
        )  # fmt: skip
        return made.secret
    finally:
        await database.close()


async def _install(dsn: str) -> Installation:
    database = Database(dsn, max_size=2)
    await database.open()
    try:
        return await install(database)
    finally:
        await database.close()
