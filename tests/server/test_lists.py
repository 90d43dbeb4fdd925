"""Lists end where their records end, and mean one moment by a time."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests_support import rating, trace

AT = "2026-03-01T12:00:00Z"
LISTS = ["/v1/traces", "/v1/feedback", "/v1/sessions", "/v1/changes"]


@pytest.fixture
def twelve(client: httpx2.Client) -> httpx2.Client:
    """Twelve of everything, all at the same moment."""
    for i in range(12):
        sent = trace(f"t-{i}", session_id=f"s-{i}", release=f"r {i}", request_model=None)
        client.post("/v1/traces", json=sent)
        client.post("/v1/feedback", json=rating(f"t-{i}", 1, id=f"f-{i}", occurred_at=AT))
    return client


def pages(client: httpx2.Client, path: str, limit: int) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found: list[list[dict[str, Any]]] = []
    cursor = None
    while cursor is not None or not found:
        further = f"&cursor={cursor}" if cursor else ""
        answer = client.get(f"{path}{'&' if '?' in path else '?'}limit={limit}{further}").json()
        found.append(answer["data"])
        cursor = answer["next_cursor"]
    return found


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("limit", "sizes"), [(12, [12]), (6, [6, 6]), (5, [5, 5, 2]), (13, [12])])
def test_list_ends_without_an_empty_page(
    twelve: httpx2.Client, path: str, limit: int, sizes: list[int]
) -> None:
    """Every record once, also among equal times; the last page says that it is the last."""
    found = pages(twelve, path, limit)
    assert [len(page) for page in found] == sizes
    assert len({str(item) for page in found for item in page}) == 12


@pytest.mark.parametrize("path", LISTS)
def test_empty_list_has_no_next_page(client: httpx2.Client, path: str) -> None:
    """Nothing is a page, too."""
    assert client.get(path).json() == {"data": [], "next_cursor": None}


def test_whole_traces_come_in_pages_of_bounded_size(client: httpx2.Client) -> None:
    """A page ends with the trace that passes the limit; every trace comes once, as by its id."""
    text = "x" * 3_000_000
    shared = {"kind": "document", "content": text}
    spans = [{"id": "s", "name": "step", "output": text}]
    sent = [trace(f"t-{n}", query="?") for n in range(3)]
    sent += [trace("large", output=text, context=[shared], spans=spans)]
    sent += [trace(f"u-{n}", context=[shared]) for n in range(3)]
    for one in sent:
        assert client.post("/v1/traces", json=one).status_code == 201
    found = pages(client, "/v1/traces?sort=oldest&include=contents", 5)
    assert [[one["id"] for one in page] for page in found] == [
        ["large"], ["t-0", "t-1", "t-2", "u-0", "u-1"], ["u-2"],
    ]  # fmt: skip
    for one in (one for page in found for one in page):
        whole = client.get(f"/v1/traces/{one['id']}").json()
        assert one == {key: whole[key] for key in whole if key not in ("feedback", "injections")}
    assert client.get("/v1/traces?include=all").status_code == 400


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/feedback"])
def test_times_of_a_filter_need_an_offset(twelve: httpx2.Client, path: str) -> None:
    """A time without one is refused; with one it means the same moment everywhere."""
    refused = twelve.get(path, params={"since": "2026-03-01T12:00:00"})
    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == "since"
    for since, count in (("2026-03-01T14:00:00+02:00", 12), ("2026-03-01T14:00:01+02:00", 0)):
        assert len(twelve.get(path, params={"since": since}).json()["data"]) == count
    until = "2026-03-01T08:00:00-04:00"
    assert twelve.get(path, params={"until": until}).json()["data"] == []


@pytest.mark.parametrize("cursor", ["x", "AAAA", "WzEsMl0", "WyIyMDI2LTAzLTAxIiwgIngiXQ"])
def test_cursor_that_is_none_of_ours_is_refused(client: httpx2.Client, cursor: str) -> None:
    """Base64 of nothing, of bytes, of numbers, and of a day without an offset."""
    answer = client.get("/v1/traces", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor")


def test_correction_of_a_span_is_a_change_of_its_output(client: httpx2.Client) -> None:
    """Not of the trace's: on the trail, in the session and by its id."""
    spans = [{"id": "search", "name": "search", "output": "red green"},
             {"id": "silent", "name": "search"}]  # fmt: skip
    client.post("/v1/traces", json=trace("t-1", session_id="s-1", output="blue", spans=spans))
    for name in ("search", "silent"):
        body = {"id": name, "kind": "correction", "trace_id": "t-1", "span_id": name}
        sent = client.post("/v1/feedback", json=body | {"correction": "red yellow"})
        assert sent.status_code == 201
    expected = [["=", "red "], ["-", "green"], ["+", "yellow"]]
    assert client.get("/v1/feedback/search").json()["changes"] == expected
    assert "changes" not in client.get("/v1/feedback/silent").json()
    for path in ("/v1/traces/t-1", "/v1/sessions/s-1"):
        found = {one["id"]: one.get("changes") for one in client.get(path).json()["feedback"]}
        assert found == {"search": expected, "silent": None}


def test_thread_entry_again_is_a_duplicate_and_another_a_conflict(client: httpx2.Client) -> None:
    """Idempotent by the client's id, as every write."""
    selector = {"exact": "Open", "start": 0, "end": 4}
    body = {"id": "f-1", "kind": "annotation", "trace_id": "t-1", "selector": selector}
    client.post("/v1/feedback", json=body | {"comment": "?"})
    entry = {"id": "e-1", "action": "reply", "author": "bob", "comment": "Really?"}
    answers = [
        client.post("/v1/feedback/f-1/thread", json=sent)
        for sent in (entry, entry, entry | {"comment": "No."})
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert answers[1].json() == {"id": "e-1", "status": "duplicate"}
    thread = client.get("/v1/feedback/f-1").json()["thread"]
    assert [said["comment"] for said in thread] == ["Really?"]


def test_part_of_a_project_changes_alone(client: httpx2.Client) -> None:
    """What a change does not name stays as it is."""
    before = client.get("/v1/projects/current").json()
    reasons = [{"label": "slow", "title": "Too slow", "polarity": "negative"}]
    client.patch("/v1/projects/current", json={"reasons": reasons})
    client.patch("/v1/projects/current", json={"name": "New"})
    client.patch("/v1/projects/current", json={"metrics": []})
    expected = before | {"name": "New", "reasons": reasons, "metrics": []}
    assert client.get("/v1/projects/current").json() == expected
