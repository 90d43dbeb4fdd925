"""Take the pictures of docs/tour.md: every page with the demo's history, in both themes.

.venv/bin/python tools/tour.py            # starts a demo of its own, in a folder that goes away
.venv/bin/python tools/tour.py --url URL --link /login/…
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

from teachback.bench.product import scratch

FOLDER = Path(__file__).parent.parent / "docs" / "tour"
SIZE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
#: Pictures that are taken at the width of a phone, too.
ON_A_PHONE = ("overview", "feedback", "trail", "lesson")
#: Larger ones make the repository heavy.
MAX_BYTES = 200_000
#: The demo replays a month and then works through what that leaves in the background.
READY_S = 300


def _first_row(page: Page) -> None:
    with page.expect_navigation():
        page.locator("a.row-link").first.click()


def _as_it_is(_: Page) -> None:
    pass


def _similar(page: Page) -> None:
    _first_row(page)
    page.locator("#similar").scroll_into_view_if_needed()


def _propose(page: Page) -> None:
    _first_row(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Propose a lesson").click()


def _ask(page: Page) -> None:
    page.get_by_role("list", name="Suggested questions").get_by_role("button").first.click()
    page.get_by_text("What you know:").wait_for()


def _choose(page: Page) -> None:
    for key in "jxjx":
        page.keyboard.press(key)


def _hover_chart(page: Page) -> None:
    box = page.locator(".chart-plot").first.bounding_box()
    if box:
        page.mouse.move(box["x"] + box["width"] * 0.66, box["y"] + box["height"] / 2)


#: Name of the picture, address, and what is done there before it is taken.
STOPS: tuple[tuple[str, str, Callable[[Page], None]], ...] = (
    ("overview", "/overview", _as_it_is),
    ("since-when", "/overview#since-when", _hover_chart),
    ("trends", "/trends?metric=negative_rate&by=role&step=week", _as_it_is),
    ("feedback", "/feedback?q=negative:yes+invoice", _choose),
    ("sessions", "/sessions", _as_it_is),
    ("session", "/sessions?q=negative:yes+session.turns:>2+kind:rating", _first_row),
    ("trail", "/feedback?q=kind:annotation", _first_row),
    ("similar", "/feedback?q=kind:correction", _similar),
    ("lesson", "/feedback?q=kind:annotation", _propose),
    ("lessons", "/lessons", _as_it_is),
    ("prompts", "/prompts", _as_it_is),
    ("recall-gate", "/recall", _as_it_is),
    ("keys", "/settings/keys", _as_it_is),
    ("story", "/demo/", _ask),
)


def main() -> None:
    """Take all pictures, or say which is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a demo that runs already")
    parser.add_argument("--link", help="a path that signs in there, as `teachback login` prints it")
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    running = contextlib.nullcontext(urljoin(given.url, given.link)) if given.url else _demo()
    with running as link, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        sizes = _take_all(browser, link)
    large = [f"{name}: {size} bytes" for name, size in sizes.items() if size > MAX_BYTES]
    if large:
        sys.exit("too large: " + ", ".join(large))


@contextlib.contextmanager
def _demo() -> Iterator[str]:
    """Run the demo in a folder of its own; the link that signs in."""
    command = [str(Path(sys.executable).parent / "teachback"), "demo", "--no-browser", "--no-live"]
    with scratch() as folder:
        log = Path(folder, "log")
        data = Path(folder, "data")
        with log.open("w") as written:
            running = subprocess.Popen(
                [*command, "--port", "0", "--data-dir", str(data)],
                stdout=written, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield _link(log, running)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)


def _link(log: Path, running: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and running.poll() is None:
        found = re.search(r"open (http://\S+/login/[^\s?]+)", log.read_text("utf-8"))
        if found:
            return found.group(1)
        time.sleep(0.5)
    sys.exit(f"the demo is not ready:\n{log.read_text('utf-8')[-2000:]}")


def _take_all(browser: Browser, link: str) -> dict[str, int]:
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    page.goto(link)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_load_state()
    sizes = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for name, address, act in STOPS:
            page.goto(urljoin(link, address))
            page.wait_for_load_state("networkidle")
            act(page)
            _shoot(page, f"{name}-{theme}.png", sizes)
            if name in ON_A_PHONE and theme == "light":
                page.set_viewport_size(PHONE)  # type: ignore[arg-type]
                _shoot(page, f"{name}-phone.png", sizes)
                page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    return sizes


def _shoot(page: Page, name: str, sizes: dict[str, int]) -> None:
    path = FOLDER / name
    page.screenshot(path=path)
    sizes[name] = path.stat().st_size


if __name__ == "__main__":
    main()
