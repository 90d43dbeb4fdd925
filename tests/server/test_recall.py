"""Recall over HTTP: what is near, what is injected and why, and who may read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from conftest import Server
from support.lessons import changed, planted
from support.people import signed_in_as
from teachback.model.lesson import Scope
from tests_support import rating, trace

QUERY = "How do I get a refund?"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than a request would wait."""
    monkeypatch.setattr("teachback.recall.inject.BUDGET_S", 5.0)


@pytest.fixture
def project(client: httpx2.Client) -> httpx2.Client:
    """A project without chance: nothing is held back."""
    rules = {"recall": {"holdout": 0, "propensity": 1}}
    assert client.patch("/v1/projects/current", json=rules).status_code == 200
    return client


def inject(client: httpx2.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/inject", json={"query": QUERY, "trace_id": "t"} | body)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


def until(wanted: Callable[[], bool], limit_s: float = 30) -> float:
    """Wait until something holds; return how long it took."""
    begun = time.monotonic()
    while not wanted():
        assert time.monotonic() - begun < limit_s
        time.sleep(0.01)
    return time.monotonic() - begun


def test_live_lesson_reaches_the_next_request(server: Server, project: httpx2.Client) -> None:
    """From nothing to a block in the messages, and to the trail that says why."""
    assert inject(project) == {
        "trace_id": "t", "outcome": "no_lessons", "text": None, "injections": [],
    }  # fmt: skip
    one = planted(server, situation=QUERY, text="Within 14 days.", kind="fact")
    until(lambda: inject(project, trace_id="x")["outcome"] == "injected")
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": QUERY}]
    done = inject(project, query=None, messages=messages)
    assert done["messages"] == [
        {"role": "system", "content": f"s\n\n{done['text']}"}, messages[1],
    ]  # fmt: skip
    assert "| Within 14 days." in done["text"]
    assert project.post("/v1/traces", json=trace("t", query=QUERY)).status_code == 201
    until(lambda: bool(project.get("/v1/traces/t").json()["injections"]))
    (injection,) = project.get("/v1/traces/t").json()["injections"]
    wanted = {
        "lesson_id": one.id, "version": 1, "rank": 1, "score": 1.0, "position": 1, "kind": "fact",
        "variant": "injected", "propensity": 1.0, "reason": "exact", "text": "Within 14 days.",
    }  # fmt: skip
    assert {name: injection[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"shape": "responses", "input": QUERY}, "instructions"),
        ({"shape": "anthropic", "messages": [{"role": "user", "content": QUERY}]}, "system"),
    ],
)
def test_block_stands_where_the_protocol_has_it(
    server: Server, project: httpx2.Client, body: dict[str, Any], place: str
) -> None:
    """For each of the three shapes; composing again changes nothing."""
    planted(server, situation=QUERY)
    until(lambda: inject(project)["outcome"] == "injected")
    done = inject(project, query=None, **body)
    assert done[place] == done["text"]
    again = inject(project, query=None, **body, **{place: done[place]})
    assert again[place] == done[place]


def test_recall_tells_why_and_why_not(server: Server, project: httpx2.Client) -> None:
    """Lessons with their reasons, the cases like it, or plainly that nothing fits."""
    answer = project.post("/v1/recall", json={"query": QUERY}).json()
    assert answer == {"fits": False, "lessons": [], "cases": []}
    chosen = planted(server, situation=QUERY, text="Within 14 days.")
    planted(server, situation=QUERY, text="No.", scope=Scope(roles=("admin",)))
    project.post("/v1/traces", json=trace("bad", query="I want a refund"))
    project.post("/v1/feedback", json=rating("bad", 0))
    project.post("/v1/traces", json=trace("good", query="I want a refund"))
    project.post("/v1/feedback", json=rating("good", 1))
    ask = {"query": QUERY, "role": "guest"}
    until(lambda: len(project.post("/v1/recall", json=ask).json()["cases"]) > 0)
    until(lambda: len(project.post("/v1/recall", json=ask).json()["lessons"]) == 2)
    answer = project.post("/v1/recall", json=ask).json()
    assert answer["fits"] is True
    assert [one["trace_id"] for one in answer["cases"]] == ["bad"]
    assert [(one["reason"], one["position"]) for one in answer["lessons"]] == [
        ("exact", 1), ("out_of_scope", None),
    ]  # fmt: skip
    assert answer["lessons"][0]["id"] == chosen.id
    other = project.post("/v1/recall", json={"query": "x", "limit": 1}).json()
    assert (other["fits"], other["lessons"]) == (False, [])


@pytest.mark.parametrize(
    "body",
    [
        {}, {"messages": []}, {"query": 7}, {"query": "q", "environment": "moon"}, [],
        {"query": "q", "shape": "x"}, {"query": "q", "unknown": 1}, {"messages": "q"},
        {"query": "q", "user_id": ""},
    ],
)  # fmt: skip
def test_wrong_body_is_refused_with_the_rule(client: httpx2.Client, body: Any) -> None:
    """It says what is wrong, and repeats nothing that somebody said."""
    answer = client.post("/v1/inject", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["rule"]


def test_rules_are_the_projects(server: Server, project: httpx2.Client) -> None:
    """Numbers and words; null is the default again; what is out of bounds is refused."""
    planted(server, situation=QUERY, text="a")
    planted(server, situation=QUERY, text="b", kind="fact")
    given = {"lessons": 0, "intro": "Learned:", "guidance": "Rule:"}
    kept = project.patch("/v1/projects/current", json={"recall": given}).json()["recall"]
    assert {name: kept[name] for name in given} == given
    assert kept["holdout"] == 0
    until(lambda: inject(project)["outcome"] == "nothing_fits")
    project.patch("/v1/projects/current", json={"recall": {"lessons": 2}})
    until(lambda: inject(project)["outcome"] == "injected")
    assert "\nLearned:\n" in inject(project)["text"]
    back = project.patch("/v1/projects/current", json={"recall": {"intro": None}}).json()["recall"]
    assert back["intro"].startswith("Lessons from earlier answers")
    for wrong in ({"holdout": 0.9}, {"propensity": 0}, {"lessons": 6}, {"x": 1}, {"intro": ""}):
        answer = project.patch("/v1/projects/current", json={"recall": wrong})
        assert answer.status_code == 400


def test_application_reads_all_live_lessons_at_once(server: Server, project: httpx2.Client) -> None:
    """With what they are chosen by; who wrote them, and from what, stays here."""
    one = planted(server, situation=QUERY, text="a", author="Alice", provenance=("f",))
    until(lambda: len(project.get("/v1/recall/lessons").json()["lessons"]) == 1)
    answer = project.get("/v1/recall/lessons")
    value = answer.json()
    assert value["salt"] == server.installation.project.id
    assert value["rules"]["holdout"] == 0
    (lesson,) = value["lessons"]
    assert (lesson["id"], lesson["situation"], lesson["text"]) == (one.id, QUERY, "a")
    assert {"author", "provenance", "reason", "project_id"}.isdisjoint(lesson)
    tag = answer.headers["etag"]
    same = project.get("/v1/recall/lessons", headers={"if-none-match": tag})
    assert (same.status_code, same.headers["etag"]) == (304, tag)


def test_waiting_reader_learns_of_a_change_at_once(server: Server, project: httpx2.Client) -> None:
    """The answer comes with the change, not with the end of the wait."""
    one = planted(server, situation=QUERY)
    until(lambda: len(project.get("/v1/recall/lessons").json()["lessons"]) == 1)
    tag = project.get("/v1/recall/lessons").headers["etag"]
    changed(server, one, state="retired")
    answer = project.get("/v1/recall/lessons?wait=5", headers={"if-none-match": tag})
    assert answer.json()["lessons"] == []
    assert project.get("/v1/recall/lessons?wait=6").status_code == 400


def test_every_outcome_is_counted(server: Server, project: httpx2.Client) -> None:
    """How many requests asked, what became of them, and how long they waited."""
    inject(project)
    text = project.get("/metrics").text
    assert 'teachback_inject_total{outcome="no_lessons"}' in text
    assert "teachback_inject_seconds_bucket" in text
    assert "teachback_live_lessons" in text
    assert "teachback_injections_lost_total 0" in text


def test_injections_of_an_application_come_with_its_trace(
    server: Server, project: httpx2.Client
) -> None:
    """What was chosen without the server is on the trail all the same, once."""
    one = planted(server, situation=QUERY, text="a")
    injection = {
        "lesson_id": one.id, "version": 1, "rank": 1, "score": 0.93, "position": 1, "tokens": 9,
        "variant": "held_back", "propensity": 0.9, "reason": "near",
    }  # fmt: skip
    sent = trace("t", injections=[injection])
    assert project.post("/v1/traces", json=sent).status_code == 201
    assert project.post("/v1/traces", json=sent).json()["status"] == "duplicate"
    (kept,) = project.get("/v1/traces/t").json()["injections"]
    assert {name: kept[name] for name in injection} == injection
    assert kept["text"] == "a"
    for wrong in ({"variant": "x"}, {"propensity": 2}, {"reason": "x"}, {"more": 1}):
        answer = project.post("/v1/traces", json=trace("u", injections=[injection | wrong]))
        assert answer.status_code == 400


def test_no_text_reaches_a_prompt_that_may_not(server: Server, project: httpx2.Client) -> None:
    """Drafts, retired and foreign lessons, and whatever end users wrote, in any field of theirs."""
    secret = "never in a prompt"
    planted(server, situation=QUERY, text="approved")
    for state in ("draft", "approved", "retired"):
        planted(server, situation=QUERY, text=secret, state=state, priority=100)
    planted(server, situation=QUERY, text=secret, approved_at=None, priority=100)
    planted(server, situation=QUERY, text=secret, scope=Scope(roles=("x",)), priority=100)
    project.post("/v1/traces", json=trace("old", query=QUERY, output=secret))
    for said in (
        {"kind": "comment", "comment": secret}, {"kind": "correction", "correction": secret},
        {"kind": "annotation", "comment": secret, "correction": secret,
         "selector": {"exact": "never", "start": 0, "end": 5}},
    ):  # fmt: skip
        assert project.post("/v1/feedback", json={"trace_id": "old"} | said).status_code == 201
    until(lambda: inject(project)["outcome"] == "injected")
    time.sleep(0.3)
    done = inject(project, role="guest")
    assert "| approved" in done["text"]
    assert secret not in json.dumps(done)


def test_trail_page_shows_what_was_injected_and_why(server: Server, project: httpx2.Client) -> None:
    """Chosen and left out, each with its reason, its version and its words, escaped."""
    planted(server, situation=QUERY, text="<b>Within 14 days.</b>", kind="fact")
    planted(server, situation=QUERY, text="Be brief.")
    until(lambda: len(inject(project)["injections"]) == 2)
    project.post("/v1/traces", json=trace("page", query=QUERY))
    inject(project, trace_id="page")
    until(lambda: len(project.get("/v1/traces/page").json()["injections"]) == 2)
    with signed_in_as(server, "viewer") as visitor:
        page = visitor.get("/traces/page").text
    assert "&lt;b&gt;Within 14 days.&lt;/b&gt;" in page
    assert "Chosen: this very question was asked before" in page
    assert "Left out: there was a better one" in page
