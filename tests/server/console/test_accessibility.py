"""No page holds what axe-core finds: names, roles, contrast, order and focus, in both themes."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe

from support.watching import Watched
from tests_support import rating, trace

pytestmark = pytest.mark.browser

#: Colours fade when the theme changes.
SETTLED = "Promise.all(document.getAnimations().map((one) => one.finished))"
PAGES = (
    "/overview", "/trends", "/trends?by=locale", "/feedback", "/feedback?q=rle:x",
    "/feedback?q=role:nobody", "/feedback?q=kind:rating", "/sessions", "/sessions/s-1",
    "/traces/t-2", "/settings/keys", "/nowhere", "/login",
)  # fmt: skip
LONG = "```python\nprint(%r)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" % ("x" * 300)


@pytest.fixture
def filled(client: httpx2.Client) -> None:
    """A session of three turns, long code in one, with feedback of every kind on another."""
    now = datetime.now(UTC).isoformat()
    turns = [
        trace(f"t-{n}", session_id="s-1", turn=n, started_at=now, locale="ar", user_id="u-1",
              output=LONG * 20 if n == 3 else "Open Reports and press Export.",
              spans=[{"id": "s", "name": "step", "input": "in", "output": "out"}],
              context=[{"kind": "document", "name": "d", "content": "text"}])
        for n in (1, 2, 3)
    ]  # fmt: skip
    selector = {"exact": "Reports", "start": 5, "end": 12}
    said = [
        rating("t-2", 0, author="u-1"),
        {"trace_id": "t-2", "kind": "rating", "scale": "stars", "score": 2, "name": "other"},
        {"trace_id": "t-2", "kind": "reasons", "labels": ["wrong_fact"]},
        {"trace_id": "t-2", "kind": "comment", "comment": "No."},
        {"trace_id": "t-2", "kind": "annotation", "selector": selector, "comment": "Moved."},
        {"trace_id": "t-2", "kind": "correction", "correction": "Open Settings and press Export."},
        {"trace_id": "t-2", "kind": "implicit", "name": "copy", "score": 0.5},
        {"session_id": "s-1", "kind": "comment", "comment": "On the whole."},
    ]
    answer = client.post("/v1/batch", json={"traces": turns, "feedback": said})
    assert answer.json()["stored"] == 11


def test_no_page_keeps_anybody_from_using_it(watched: Watched, filled: None) -> None:
    """In light and dark, with records of every kind, and in an empty list."""
    axe, found = Axe(), []
    for address in PAGES:
        watched.page.goto(address)
        for theme in ("light", "dark"):
            watched.page.emulate_media(color_scheme=theme)
            watched.page.evaluate(SETTLED)
            result = axe.run(watched.page)
            found += [
                (address, theme, one["id"], [node["html"][:200] for node in one["nodes"][:3]])
                for one in result.response["violations"]
            ]
    assert found == []


def test_empty_pages_and_open_parts_are_usable_too(watched: Watched) -> None:
    """Before anything was recorded, and with the help and the keyboard's list open."""
    axe, found = Axe(), []
    for address in ("/overview", "/feedback", "/sessions", "/trends"):
        watched.page.goto(address)
        found += [(address, one["id"]) for one in axe.run(watched.page).response["violations"]]
    watched.page.goto("/feedback?q=role:nobody")
    watched.page.get_by_role("button", name="What can be filtered").click()
    found += [("help", one["id"]) for one in axe.run(watched.page).response["violations"]]
    watched.page.keyboard.press("Escape")
    watched.page.keyboard.press("?")
    found += [("keyboard", one["id"]) for one in axe.run(watched.page).response["violations"]]
    assert found == []
