"""Whoever opens the story page can go through its steps, by mouse and by keyboard."""

from __future__ import annotations

import re

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from conftest import Server
from support.watching import Watched

pytestmark = pytest.mark.browser


def step(page: Page, name: str) -> Locator:
    return page.locator(f"[data-step={name}]")


def is_in_state(page: Page, name: str, state: str) -> None:
    expect(step(page, name)).to_have_attribute("data-state", state)


def ask(page: Page) -> None:
    """Click the first suggestion and wait for the answer."""
    page.get_by_role("list", name="Suggested questions").get_by_role("button").first.click()
    expect(page.get_by_text("What you know:")).to_be_visible()


def select_first_word(page: Page) -> str:
    """Double-click the first word of the answer, wherever the font puts it; return the word."""
    x, y = page.locator(".answer-text").evaluate(
        """answer => {
          answer.scrollIntoView({ block: "center" });
          const word = document.createRange();
          word.setStart(answer.firstChild, 0);
          word.setEnd(answer.firstChild, answer.textContent.indexOf(" "));
          const box = word.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        }"""
    )
    page.mouse.dblclick(x, y)
    return str(page.evaluate("getSelection().toString()"))


def test_the_steps_tick_themselves_when_the_visitor_does_them(
    story: Server, visitor: Watched
) -> None:
    """Ask, complain in every way, see the trail: each is ticked, and stays so after a reload."""
    page = visitor.page
    page.goto(f"/login/{story.installation.login_token}?next=/demo/")
    page.get_by_role("button", name="Continue").click()
    is_in_state(page, "ask", "next")
    is_in_state(page, "proof", "later")
    ask(page)
    is_in_state(page, "ask", "done")
    is_in_state(page, "complain", "next")

    page.get_by_role("button", name="Bad answer").click()
    page.get_by_text("Out of date").check()
    page.get_by_label("In your own words").fill("My contract says otherwise.")
    page.get_by_label("What should it have said?").fill("Three weeks.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Better: Three weeks.")).to_be_visible()
    is_in_state(page, "complain", "done")
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")

    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open your trail").click()
    opened.value.wait_for_url("**/traces/*")
    expect(opened.value.get_by_text("My contract says otherwise.")).to_be_visible()

    page.reload()
    is_in_state(page, "others", "next")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="See who else").click()
    opened.value.wait_for_url("**/traces/*#similar")
    expect(opened.value.get_by_role("heading", name="Similar cases")).to_be_visible()

    page.reload()
    for name in ("ask", "complain", "trail", "others"):
        is_in_state(page, name, "done")
    is_in_state(page, "approve", "next")
    is_in_state(page, "proof", "later")
    expect(page.get_by_text("Out of date", exact=True)).to_be_visible()

    page.get_by_role("button", name="Draft a lesson from it").click()
    expect(page.get_by_label("The draft")).to_have_text("Three weeks.")
    page.get_by_role("button", name="Approve it").click()
    is_in_state(page, "approve", "done")
    page.get_by_role("button", name="Ask it again").click()
    expect(page.locator(".answer-text").last).to_contain_text("Three weeks.")
    is_in_state(page, "again", "done")
    expect(page.locator(".change .after")).to_contain_text("Three weeks.")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the lesson").click()
    expect(opened.value.get_by_text("Approved on the story page").first).to_be_visible()
    assert visitor.faults == []


def test_a_thumb_alone_teaches_nothing(visitor: Watched) -> None:
    """The step says what to add, and the answer stays as it is."""
    page = visitor.page
    ask(page)
    page.get_by_role("button", name="Bad answer").click()
    is_in_state(page, "complain", "done")
    page.get_by_role("button", name="Draft a lesson from it").click()
    expect(page.get_by_text("From that alone nothing can be learned")).to_be_visible()
    expect(page.get_by_role("button", name="Approve it")).to_be_hidden()
    assert visitor.faults == []


def test_a_selected_passage_is_corrected_in_place(visitor: Watched) -> None:
    """Selecting words offers to mark them; the correction shows as a tracked change."""
    page = visitor.page
    ask(page)
    select_first_word(page)
    page.get_by_role("button", name="Mark this").click()
    page.get_by_label("What should it say instead?").fill("They")
    page.get_by_role("button", name="Mark", exact=True).last.click()
    expect(page.locator(".answer-text ins")).to_have_text("They")
    assert visitor.faults == []


def test_a_selection_stays_when_the_page_reads_the_state_again(visitor: Watched) -> None:
    """What is selected can still be marked after a refresh that brings nothing new."""
    page = visitor.page
    ask(page)
    word = select_first_word(page)
    with page.expect_response("**/state"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("button", name="Copy answer").hover()
    assert page.evaluate("getSelection().toString()") == word
    page.get_by_role("button", name="Mark this").click()
    expect(page.get_by_label("What should it say instead?")).to_be_visible()


def test_a_passage_is_marked_by_keyboard(visitor: Watched) -> None:
    """Whoever cannot select text chooses a sentence; everything works without a mouse."""
    page = visitor.page
    page.get_by_label("Your question").focus()
    page.keyboard.type("What is your refund period?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Mark", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Says who?")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".answer-text mark")).to_have_text(re.compile(r"^You can ask .*\.$"))
    is_in_state(page, "complain", "done")
    assert visitor.faults == []


def test_a_thumb_is_taken_back_when_pressed_again(visitor: Watched) -> None:
    """The second press withdraws; the step is open again, because the server says so."""
    page = visitor.page
    ask(page)
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_text("Thank you")).to_be_visible()
    is_in_state(page, "complain", "next")  # praise is no complaint
    thumb = page.get_by_role("button", name="Bad answer")
    thumb.click()
    is_in_state(page, "complain", "done")
    thumb.click()
    is_in_state(page, "complain", "next")
    expect(thumb).to_have_attribute("aria-pressed", "false")


def test_what_is_typed_is_never_markup(visitor: Watched) -> None:
    """A question full of markup is shown as it was typed."""
    page = visitor.page
    query = "<img src=x onerror=alert(1)> & <b>refund</b>?"
    page.get_by_label("Your question").fill(query)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".question").first).to_contain_text(query)
    assert visitor.faults == []


def test_the_page_fits_a_phone(visitor: Watched) -> None:
    """Nothing is wider than the narrowest phone."""
    page = visitor.page
    page.set_viewport_size({"width": 320, "height": 640})
    ask(page)
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_label("In your own words")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_starting_over_makes_another_visitor(visitor: Watched) -> None:
    """The next visitor has asked nothing yet."""
    page = visitor.page
    ask(page)
    page.get_by_role("button", name="Start over").click()
    is_in_state(page, "ask", "next")
    expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"query": ""}', b'{"query": 7}', b"x" * 20_000])
def test_a_question_that_is_none_is_refused(story: Server, body: bytes) -> None:
    """Bad input gets a sentence, not a trace."""
    answer = httpx2.post(f"{story.url}/demo/chat", content=body)
    assert answer.status_code == 400
    assert "1 to 2000 characters" in answer.json()["error"]["message"]


def test_visitors_do_not_see_each_other(story: Server) -> None:
    """State belongs to the cookie; a stranger's is empty."""
    with httpx2.Client(base_url=story.url) as alice, httpx2.Client(base_url=story.url) as bob:
        for each in (alice, bob):
            assert each.get("/demo/").status_code == 200
        alice.post("/demo/chat", json={"query": "What are your prices?"}).raise_for_status()
        assert len(alice.get("/demo/state").json()["messages"]) == 1
        assert bob.get("/demo/state").json()["messages"] == []


def test_a_cookie_of_somebody_elses_making_opens_nothing(story: Server) -> None:
    """An end user's pseudonym in the cookie does not make the visitor that end user."""
    with httpx2.Client(base_url=story.url) as client:
        client.post(
            "/v1/traces",
            json={"query": "Hello?", "user_id": "user-1"},
            headers={"authorization": f"Bearer {story.secret_key}"},
        ).raise_for_status()
        state = client.get("/demo/state", headers={"cookie": "demo_visitor=user-1"})
        assert state.json()["messages"] == []
