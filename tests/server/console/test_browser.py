"""The console in a real browser: by keyboard, at every width, under its own security policy."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from playwright.sync_api import expect

from support.hostile import PAYLOADS, hostile_feedback, hostile_trace, path
from support.watching import Watched
from tests_support import rating, trace

pytestmark = pytest.mark.browser

PAGES = (
    "/overview", "/trends", "/trends?by=locale", "/feedback", "/feedback?q=rle:x", "/sessions",
    "/sessions/s-1", "/traces/t-2", "/settings/keys", "/nowhere", "/lessons", "/lessons/new",
    "/lessons/fact", "/prompts", "/prompts/support",
)  # fmt: skip


@pytest.fixture
def story(client: httpx2.Client) -> None:
    """A session of three turns, the second with feedback of several kinds."""
    turns = [trace(f"t-{n}", session_id="s-1", turn=n, started_at=f"2026-03-01T12:0{n}:00Z")
             for n in (1, 2, 3)]  # fmt: skip
    selector = {"exact": "Reports", "start": 5, "end": 12}
    said = [
        rating("t-2", 0, author="u-7"),
        {"trace_id": "t-2", "kind": "annotation", "selector": selector, "comment": "Moved."},
        {"trace_id": "t-2", "kind": "correction", "correction": "Open Settings and press Export."},
    ]
    answer = client.post("/v1/batch", json={"traces": turns, "feedback": said})
    assert answer.json()["stored"] == 6
    lesson = {"id": "fact", "kind": "fact", "situation": "How do I export?", "text": "In Settings."}
    assert client.post("/v1/lessons", json=lesson).status_code == 201
    prompt = {"name": "support", "text": "Help."}
    assert client.post("/v1/prompts", json=prompt).status_code == 201


def test_keyboard_reaches_everything(watched: Watched, story: None) -> None:
    """From the list into a trail, to its neighbours and back, without a mouse."""
    page = watched.page
    page.goto("/feedback")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces/t-2")
    page.keyboard.press("]")
    page.wait_for_url("**/traces/t-3")
    page.keyboard.press("[")
    page.wait_for_url("**/traces/t-2")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/sessions")
    assert watched.faults == []


def test_filter_is_typed_and_mended_by_keyboard(watched: Watched, story: None) -> None:
    """`/` reaches the box, Enter applies it, and a mistake is told where it is."""
    page = watched.page
    page.goto("/feedback")
    page.keyboard.press("/")
    page.keyboard.type("kind:rating rle:x")
    page.keyboard.press("Enter")
    page.wait_for_url("**/feedback?q=**")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean role?")
    box = page.get_by_role("textbox", name="Filter")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("kind:rating")
    box.press("Enter")
    expect(page.locator("a.row-link")).to_have_count(1)
    page.get_by_role("button", name="What can be filtered").press("Enter")
    expect(page.get_by_role("heading", name="What can be filtered")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="What can be filtered")).to_be_hidden()


def test_lines_are_chosen_and_tagged_by_keyboard(watched: Watched, story: None) -> None:
    """`x` chooses, `t` goes to the tag, Enter puts it there."""
    page = watched.page
    page.goto("/feedback")
    expect(page.get_by_role("group", name="Tag the chosen lines")).to_be_hidden()
    for key in ("j", "x", "t"):
        page.keyboard.press(key)
    page.keyboard.type("to-check")
    page.keyboard.press("Enter")
    expect(page.locator(".tag")).to_have_text("to-check")
    assert watched.faults == []


def test_view_is_saved_and_found_again(watched: Watched, story: None) -> None:
    """The form opens where the filter stands; the view is marked while it is in force."""
    page = watched.page
    page.goto("/feedback?q=kind:rating")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill("Thumbs")
    page.get_by_role("button", name="Save", exact=True).click()
    view = page.get_by_role("link", name="Thumbs")
    expect(view).to_have_attribute("aria-current", "true")
    page.goto("/feedback")
    view.click()
    page.wait_for_url("**/feedback?q=kind%3Arating")
    assert watched.faults == []


def test_chart_is_read_by_keyboard(watched: Watched, client: httpx2.Client) -> None:
    """Arrow keys walk through its steps; the table opens with the same numbers."""
    now = datetime.now(UTC).isoformat()
    client.post("/v1/traces", json=trace("t-1", started_at=now))
    page = watched.page
    page.goto("/overview")
    chart = page.locator("#volume-traces time-chart")
    chart.focus()
    page.keyboard.press("End")
    expect(chart.get_by_role("status")).to_contain_text("Answers: 1")
    page.keyboard.press("ArrowLeft")
    expect(chart.get_by_role("status")).to_contain_text("Answers: ")
    page.keyboard.press("Escape")
    expect(chart.get_by_role("status")).to_be_hidden()
    page.locator("#volume-traces summary").press("Enter")
    table = page.get_by_role("region", name="Answers")
    expect(table.get_by_role("row").nth(1)).to_contain_text("(not over)")
    assert watched.faults == []


@pytest.mark.parametrize("address", ["/traces/t-2", "/overview", "/feedback", "/trends"])
def test_every_control_has_a_name_and_shows_focus(
    watched: Watched, story: None, address: str
) -> None:
    """Tabbing through a page lands on named elements only, each with a visible ring."""
    page = watched.page
    page.goto(address)
    page.locator("body").press("Tab")
    names: list[str] = []
    while len(names) < 80:
        name, ring = page.evaluate(
            """() => {
                const at = document.activeElement;
                const names = [at.ariaLabel, at.textContent, at.title, at.labels?.[0]?.textContent];
                const whole = at.matches('.row-link') ? '.row' : '.segment, .check';
                const style = getComputedStyle(at.closest(whole) ?? at);
                return [names.find((name) => name?.trim()) ?? '', style.outlineStyle];
            }"""
        )
        if page.evaluate("document.activeElement === document.body"):
            break  # past the last one
        names.append(name)
        assert name.strip(), f"after {names[-2:]}"
        assert ring != "none", name
        page.keyboard.press("Tab")
    assert len(names) > 10


def test_views_of_the_output_switch_without_script_of_ours(watched: Watched, story: None) -> None:
    """Marked up, as answered, as corrected: one of them at a time."""
    page = watched.page
    page.goto("/traces/t-2")
    marked, corrected = page.locator(".view-marked"), page.locator(".view-corrected")
    expect(marked.locator("ins")).to_have_text("Settings")
    expect(marked.locator("mark")).to_have_text("Reports")
    page.get_by_text("As corrected").click()
    expect(marked).to_be_hidden()
    expect(corrected).to_have_text("Open Settings and press Export.")


def test_theme_holds_when_the_page_is_loaded_again(watched: Watched) -> None:
    """A click changes the colours at once, and the next page comes in them."""
    page = watched.page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto("/sessions")
    assert page.evaluate(background) == dark
    assert watched.faults == []


def test_pages_fit_when_the_screen_is_narrow_or_wide(watched: Watched, story: None) -> None:
    """No page scrolls sideways, from the smallest phone to a wide screen."""
    for address in PAGES:
        watched.page.goto(address)
        for width in (320, 390, 768, 1280, 1920):
            watched.page.set_viewport_size({"width": width, "height": 900})
            wider = watched.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, (address, width)


def test_nothing_runs_and_nothing_is_loaded_when_texts_are_hostile(
    watched: Watched, client: httpx2.Client
) -> None:
    """Attacks stored in every field: no dialog, no violation of the policy, no other host."""
    traces = [hostile_trace(number, text) for number, text in enumerate(PAYLOADS)]
    said = [one for number, text in enumerate(PAYLOADS) for one in hostile_feedback(number, text)]
    answer = client.post("/v1/batch", json={"traces": traces, "feedback": said}).json()
    assert answer["rejected"] == 0
    page = watched.page
    for address in ("/feedback", "/sessions"):
        page.goto(address)
    for number, text in enumerate(PAYLOADS):
        page.goto(path("traces", f"{number}{text}"))
        page.locator("#view-formatted").check(force=True)
        assert page.locator(".node-output").is_visible()
    assert watched.faults == []
