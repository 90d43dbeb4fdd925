"""Each page answers with what is stored, escaped, and with what to do when there is nothing."""

from __future__ import annotations

import re

import httpx2
import pytest

from conftest import Server
from support.hostile import PAYLOADS, hostile_feedback, hostile_trace, path
from support.people import signed_in_as
from tests_support import rating, trace

#: Elements that no page of ours has; the one script is a file.
FOREIGN = re.compile(r"<(script(?! type=\"module\" src=\"/static/)|img|iframe|base|math|style)")
WRONG_FORMS: tuple[dict[str, str], ...] = (
    {},
    {"name": " ", "kind": "secret"},
    {"name": "x", "kind": "root"},
    {"name": "x" * 101, "kind": "secret"},
)
STRANGER_PATHS = (
    "/overview",
    "/trends",
    "/feedback",
    "/sessions",
    "/sessions/s",
    "/traces/t",
    "/settings/keys",
)


@pytest.mark.parametrize("address", STRANGER_PATHS)
def test_stranger_signs_in_first_when_opening_a_page(server: Server, address: str) -> None:
    """Without a login every page leads to the sign-in, and back."""
    answer = httpx2.get(server.url + address)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


def test_empty_pages_say_what_to_do_when_nothing_is_stored(visitor: httpx2.Client) -> None:
    """The first visit shows a snippet to copy, with this server's address."""
    assert "client.feedback(trace.id" in visitor.get("/feedback").text
    assert "session_id=" in visitor.get("/sessions").text
    assert "Nothing matches" in visitor.get("/feedback?q=negative:yes").text


def test_trail_shows_everything_when_stored(visitor: httpx2.Client, client: httpx2.Client) -> None:
    """Query, context, steps, output, its correction and the judgements stand on one page."""
    sent = trace(
        "t-1", session_id="s-1", user_id="u-7", input_tokens=1200, cost_usd=0.002,
        context=[{"kind": "document", "name": "menu.md", "version": "v3", "content": "Export."}],
        spans=[{"id": "a", "name": "rerank", "latency_ms": 12}],
    )  # fmt: skip
    assert client.post("/v1/traces", json=sent).status_code == 201
    said = [
        rating("t-1", 0, author="u-7"),
        {"trace_id": "t-1", "kind": "correction", "correction": "Open Settings.", "author": "bob"},
        {"trace_id": "t-1", "kind": "reasons", "labels": ["outdated"], "author": "u-7"},
    ]
    assert client.post("/v1/feedback", json={"data": said}).json()["stored"] == 3
    html = visitor.get("/traces/t-1").text
    for shown in ("menu.md", "v3", "rerank", "1,200 in", "$0.002", "Not helpful", "Out of date",
                  "<del>Reports", "<ins>Settings", "Turn 1 of 1"):  # fmt: skip
        assert shown in html
    assert "How do I export my invoices?" in visitor.get("/feedback").text
    assert "2 negative" not in visitor.get("/sessions").text
    assert "Not helpful" in visitor.get("/sessions/s-1").text


def test_list_goes_on_when_there_are_older_ones(
    visitor: httpx2.Client, client: httpx2.Client
) -> None:
    """Following Older shows every feedback once."""
    said = [rating("t", 1, author=f"u-{n}", id=f"f-{n}") for n in range(95)]
    assert client.post("/v1/feedback", json={"data": said}).json()["stored"] == 95
    seen: list[str] = []
    address: str | None = "/feedback?q=kind:rating"
    while address:
        html = visitor.get(address).text
        seen += re.findall(r"<bdi>(u-\d+)</bdi>", html)
        older = re.search(r'rel="next" href="([^"]+)"', html)
        address = older.group(1).replace("&amp;", "&") if older else None
    assert sorted(seen) == sorted(f"u-{n}" for n in range(95))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_is_only_text_when_shown(
    visitor: httpx2.Client, client: httpx2.Client, payload: str
) -> None:
    """Stored in every field, it adds no element, attribute or script to any page."""
    assert client.post("/v1/traces", json=hostile_trace(1, payload)).status_code == 201
    stored = client.post("/v1/feedback", json={"data": hostile_feedback(1, payload)}).json()
    assert [one for one in stored["data"] if "error" in one] == []
    name = f"1{payload}"
    for address in (path("traces", name), path("sessions", name), "/feedback", "/sessions"):
        answer = visitor.get(address)
        assert answer.status_code == 200
        assert not FOREIGN.search(answer.text)
        assert not re.search(r"<[^>]*\s(on\w+|style)=", re.sub(r'"[^"]*"', '""', answer.text))


def test_page_says_so_when_nothing_has_the_id(visitor: httpx2.Client) -> None:
    """An unknown record and an unknown address are pages; for programs they are JSON."""
    for address in ("/traces/none", "/sessions/none", "/nowhere"):
        answer = visitor.get(address)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
    assert visitor.get("/v1/nowhere").json()["error"]["type"] == "not_found"


def test_cursor_is_refused_when_it_is_not_ours(visitor: httpx2.Client) -> None:
    """A mistyped address is an error page, not a crash."""
    assert visitor.get("/feedback?cursor=x").status_code == 400


def test_key_works_until_revoked_when_made_on_the_page(
    visitor: httpx2.Client, server: Server
) -> None:
    """The secret is shown once, works at once, and stops after Revoke."""
    made = visitor.post("/settings/keys", data={"name": "Chat", "kind": "secret"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = re.search(r"tb_sk_([0-9a-f]+)_[0-9a-f]{64}", made.text)
    assert secret is not None
    assert secret.group(0) not in visitor.get("/settings/keys").text
    with server.client(secret.group(0)) as other:
        assert other.get("/v1/traces").status_code == 200
        assert visitor.post(f"/settings/keys/{secret.group(1)}/revoke").status_code == 200
        assert other.get("/v1/traces").status_code == 401


@pytest.mark.parametrize("form", WRONG_FORMS)
def test_key_is_not_made_when_the_form_is_wrong(
    visitor: httpx2.Client, form: dict[str, str]
) -> None:
    """The page names what is wrong."""
    answer = visitor.post("/settings/keys", data=form)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_viewer_cannot_manage_keys(server: Server) -> None:
    """Bob reads the list; making and revoking are refused on a page."""
    with signed_in_as(server, "viewer") as bob:
        assert "Make key" not in bob.get("/settings/keys").text
        assert bob.post("/settings/keys", data={"name": "x", "kind": "secret"}).status_code == 403
        assert bob.post("/settings/keys/abc/revoke").status_code == 403


def test_members_see_their_own_project_only(server: Server, client: httpx2.Client) -> None:
    """Charlie, of another project, finds nothing of Alice's."""
    client.post("/v1/traces", json=trace("secret-plan", session_id="s-secret"))
    with signed_in_as(server, "owner", own_project=True) as charlie:
        assert charlie.get("/traces/secret-plan").status_code == 404
        assert charlie.get("/sessions/s-secret").status_code == 404
        assert "s-secret" not in charlie.get("/sessions").text
