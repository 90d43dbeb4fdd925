"""A signed-in visitor, by plain HTTP and in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from conftest import Server
from support.watching import Watched, watch

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture
def visitor(server: Server) -> Iterator[httpx2.Client]:
    """Alice's browser, without its eyes: cookies are kept, redirects followed."""
    with httpx2.Client(base_url=server.url, follow_redirects=True, timeout=30) as client:
        client.headers["accept"] = "text/html"
        assert client.post(f"/login/{server.installation.login_token}").status_code == 200
        yield client


@pytest.fixture
def watched(server: Server) -> Iterator[Watched]:
    """Alice's browser, signed in by her one-time link, on the overview."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    # Once for each test: while Playwright runs, no other test could start an event loop.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 900})
        watched = Watched(page)
        watch(watched, server.url)
        page.goto(f"/login/{server.installation.login_token}")
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/overview")
        yield watched
        browser.close()
