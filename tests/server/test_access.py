"""Who may do what: every route against every kind of caller, and one project against another."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from conftest import Installation, Server, _install
from teachback.core import tokens
from teachback.server.api.routes import ROUTES
from teachback.server.console.routes import table
from tests_support import rating, trace

ANNOTATION = {
    "id": "f", "kind": "annotation", "trace_id": "t", "comment": "alice's secret",
    "selector": {"exact": "Open", "start": 0, "end": 4},
}  # fmt: skip
LESSON = {"kind": "fact", "situation": "alice's secret", "text": "alice's secret"}
#: A body that each writing route accepts, so that only access can refuse it.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/traces"): trace("new"),
    ("POST", "/v1/batch"): {"traces": [trace("new")]},
    ("POST", "/v1/feedback"): rating("t", 1, id="new"),
    ("POST", "/v1/feedback/{feedback_id:id}/withdraw"): {},
    ("POST", "/v1/feedback/{feedback_id:id}/thread"): {"action": "reply", "comment": "x"},
    ("POST", "/v1/projects"): {"name": "x"},
    ("PATCH", "/v1/projects/current"): {"name": "x"},
    ("POST", "/v1/keys"): {"kind": "secret", "name": "x"},
    ("POST", "/v1/lessons"): {"kind": "fact", "situation": "x", "text": "x"},
    ("PATCH", "/v1/lessons/{lesson_id}"): {"text": "x"},
    ("POST", "/v1/lessons/{lesson_id}/state"): {"state": "retired", "reason": "x"},
    ("POST", "/v1/lessons/{lesson_id}/decline"): {"reason": "x"},
    ("POST", "/v1/lessons/{lesson_id}/supersede"): {"by": "l", "reason": "x"},
    ("POST", "/v1/lessons/{lesson_id}/kill"): {"off": True, "reason": "x"},
    ("POST", "/v1/feedback/{feedback_id:id}/proposals"): {},
    ("POST", "/v1/traces/{trace_id:id}/proposals"): {},
    ("POST", "/v1/prompts"): {"name": "x", "text": "x"},
    ("POST", "/v1/prompts/{name}/versions/{version}/state"): {"state": "retired", "reason": "x"},
    ("POST", "/v1/prompts/{name}/merge"): {"lesson_id": "l"},
    ("PUT", "/v1/lesson_switch"): {"off": True, "reason": "x"},
    ("POST", "/v1/recall"): {"query": "alice's secret"},
    ("POST", "/v1/inject"): {"query": "alice's secret"},
    ("POST", "/v1/chat/completions"): {"model": "m", "messages": []},
    ("POST", "/v1/responses"): {"model": "m", "input": "x"},
    ("POST", "/v1/embeddings"): {"model": "m", "input": "x"},
    ("POST", "/v1/messages"): {"model": "m", "messages": []},
    ("POST", "/v1/messages/count_tokens"): {"model": "m", "messages": []},
}
CALLS = [(method, path, access) for method, path, _, access in ROUTES]
NO_KEYS = [
    "",
    "Bearer",
    "Bearer x",
    "Bearer tb_sk_x_y",
    "Basic dTpw",
    "Bearer tb_sk__",
    "tb_sk_a_b",
]


@pytest.fixture
def record(client: httpx2.Client) -> httpx2.Client:
    """Alice's project holds a session with a trace, an annotation with a thread, and versions."""
    context = [{"kind": "document", "name": "d", "content": "of alice"}]
    words = {"query": "alice's secret", "release": "alice's secret"}
    sent = trace("t", session_id="s", user_id="u", context=context, **words)
    assert client.post("/v1/traces", json=sent).status_code == 201
    assert client.post("/v1/feedback", json=ANNOTATION).status_code == 201
    said = {"action": "reply", "comment": "alice's secret", "author": "bob"}
    assert client.post("/v1/feedback/f/thread", json=said).status_code == 201
    assert client.post("/v1/lessons", json=LESSON | {"id": "l"}).status_code == 201
    prompt = {"name": "p", "text": "alice's secret"}
    assert client.post("/v1/prompts", json=prompt).status_code == 201
    return client


@pytest.fixture
def charlie(server: Server) -> Installation:
    """A stranger: Charlie has a project of his own on the same server."""
    return asyncio.run(_install(server.dsn))


def call(client: httpx2.Client, method: str, path: str) -> httpx2.Response:
    """Call a route for the records of the fixture."""
    ids = {
        "{trace_id:id}": "t",
        "{feedback_id:id}": "f",
        "{session_id:id}": "s",
        "{key_id}": "k",
        "{model:id}": "m",
        "{lesson_id}": "l",
    }
    ids = {"{trace_id:id}": "t", "{feedback_id:id}": "f", "{session_id:id}": "s", "{key_id}": "k",
           "{lesson_id}": "l", "{name}": "p", "{version}": "1"}  # fmt: skip
    address = path
    for placeholder, name in ids.items():
        address = address.replace(placeholder, name)
    return client.request(method, address, json=BODIES.get((method, path)))


@pytest.mark.parametrize(("method", "path", "access"), CALLS)
def test_route_is_closed_to_strangers(
    record: httpx2.Client, server: Server, method: str, path: str, access: str
) -> None:
    """Without a key, or with something that is none, only health answers."""
    for authorization in NO_KEYS:
        headers = {"authorization": authorization} if authorization else {}
        with httpx2.Client(base_url=server.url, headers=headers) as stranger:
            answer = call(stranger, method, path)
        assert (answer.status_code == 401) == (access != "anybody"), authorization
        if access != "anybody":
            # The gateway says it in the words of the providers' protocols.
            error = answer.json()["error"]
            assert "authenticat" in error["type"] or error["code"] == "unauthenticated"
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "access"), CALLS)
def test_route_is_open_to_a_public_key_only_when_declared(
    record: httpx2.Client, server: Server, method: str, path: str, access: str
) -> None:
    """A page's key alone reads the widget's configuration and nothing else."""
    with server.client(server.public_key) as browser:
        answer = call(browser, method, path)
    expected = {"secret": 403, "token": 401, "public": 200, "anybody": 200}
    assert answer.status_code == expected[access]
    assert "alice" not in answer.text


@pytest.mark.parametrize(("method", "path", "access"), CALLS)
def test_route_is_open_to_a_token_only_for_its_own(
    record: httpx2.Client, server: Server, method: str, path: str, access: str
) -> None:
    """A token adds its own feedback; what others said stays hidden."""
    token = tokens.sign(server.secret_key, "t", user_id="u")
    with server.client(server.public_key, **{"teachback-token": token}) as browser:
        answer = call(browser, method, path)
    # The annotation is somebody else's: its thread is open on the trace, its words are not.
    own = {"/v1/feedback": {200, 201}, "/v1/feedback/{feedback_id:id}/thread": {201}}
    expected = {"secret": {403}, "token": own.get(path, {404}), "public": {200}, "anybody": {200}}
    assert answer.status_code in expected[access]
    assert "alice" not in answer.text


@pytest.mark.parametrize("wrong", ["trace", "project", "signature", "expired", "revoked"])
def test_token_is_worth_nothing_when_it_is_not_for_this(
    record: httpx2.Client, server: Server, charlie: Installation, wrong: str
) -> None:
    """Another trace, another project, another signature, too late, or signed with a dead key."""
    new = record.post("/v1/keys", json={"kind": "secret", "name": "old"}).json()
    if wrong == "revoked":
        record.delete(f"/v1/keys/{new['id']}")
    secret = charlie.secret_key if wrong == "project" else new["secret"]
    token = tokens.sign(
        secret, "other" if wrong == "trace" else "t", user_id="u",
        lifetime_s=-1 if wrong == "expired" else 60,
    )  # fmt: skip
    if wrong == "signature":
        token = token[:-6] + "AAAAAA"
    with server.client(server.public_key, **{"teachback-token": token}) as browser:
        answer = browser.post("/v1/feedback", json=rating("t", 0, id="new"))
    assert answer.status_code == (403 if wrong == "trace" else 401)
    assert record.get("/v1/feedback/new").status_code == 404


@pytest.mark.parametrize(("method", "path"), [call[:2] for call in CALLS])
def test_nothing_of_another_project_is_seen_or_touched(
    record: httpx2.Client, server: Server, charlie: Installation, method: str, path: str
) -> None:
    """Charlie's own secret key meets 404 for every id of Alice, and not a byte of her record."""
    before = [record.get(place).json() for place in ("/v1/traces/t", "/v1/sessions/s", "/v1/keys")]
    with server.client(charlie.secret_key) as stranger:
        answer = call(stranger, method, path)
    if "{" in path:
        assert answer.status_code == 404
    assert "alice" not in answer.text
    assert server.installation.project.id not in answer.text
    after = [record.get(place).json() for place in ("/v1/traces/t", "/v1/sessions/s", "/v1/keys")]
    assert after == before


def test_filters_do_not_reach_into_another_project(
    record: httpx2.Client, server: Server, charlie: Installation
) -> None:
    """Lists stay empty for Charlie, whatever of Alice's he names."""
    narrowed = [
        "/v1/traces?id=t", "/v1/traces?session_id=s", "/v1/traces?user_id=u",
        "/v1/feedback?trace_id=t", "/v1/feedback?author=", "/v1/feedback?environment=prod",
        "/v1/sessions?user_id=u", "/v1/sessions", "/v1/changes",
    ]  # fmt: skip
    with server.client(charlie.secret_key) as stranger:
        assert [stranger.get(path).json()["data"] for path in narrowed] == [[]] * len(narrowed)


def test_same_ids_of_two_projects_are_two_records(
    record: httpx2.Client, server: Server, charlie: Installation
) -> None:
    """Ids are a project's own; so are texts: a hash opens nothing that another project sent."""
    kept = record.get("/v1/traces/t").json()
    with server.client(charlie.secret_key) as stranger:
        hashed = kept["context"][0]["content_hash"]
        context = [{"kind": "document", "name": "d", "content_hash": hashed}]
        sent = trace("t", query="mine", context=context)
        assert stranger.post("/v1/traces", json=sent).status_code == 201
        assert stranger.post("/v1/feedback", json=ANNOTATION | {"comment": "x"}).status_code == 201
        assert stranger.delete("/v1/traces/t").status_code in {404, 405}
        seen = stranger.get("/v1/traces/t")
    assert seen.json()["query"] == "mine"
    assert "of alice" not in seen.text
    assert record.get("/v1/traces/t").json() == kept


def test_key_cannot_revoke_one_of_another_project(
    record: httpx2.Client, server: Server, charlie: Installation
) -> None:
    """404, and the key goes on working."""
    with server.client(charlie.secret_key) as stranger:
        assert stranger.delete(f"/v1/keys/{tokens.key_id(server.secret_key)}").status_code == 404
    assert record.get("/v1/traces/t").status_code == 200


def test_listed_keys_hold_no_secret(record: httpx2.Client, server: Server) -> None:
    """A key's text is in the answer that made it and nowhere else."""
    made = record.post("/v1/keys", json={"kind": "public", "name": "page"}).json()
    listed = record.get("/v1/keys").text
    for text in (made["secret"], server.secret_key, server.public_key):
        assert text not in listed
        assert text.split("_")[3] not in listed


def console_pages() -> list[tuple[str, str]]:
    """Every address of the console that needs somebody signed in."""
    routes = [route for route in table() if isinstance(route, Route)]
    open_ = ("/login", "/logout", "/theme", "/")
    return [
        (method, route.path.replace("{id:path}", "t").replace("{id}", "k"))
        for route in routes
        for method in sorted((route.methods or set()) - {"HEAD"})
        if not route.path.startswith("/login") and route.path not in open_
    ]


@pytest.mark.parametrize(("method", "path"), console_pages())
def test_page_sends_strangers_to_the_sign_in(
    record: httpx2.Client, server: Server, method: str, path: str
) -> None:
    """Neither no cookie, nor a made-up one, nor an API key opens a page."""
    forged = {"cookie": "teachback_login=x; teachback_project=" + server.installation.project.id}
    for headers in ({}, forged, {"authorization": f"Bearer {server.secret_key}"}):
        answer = httpx2.request(method, server.url + path, headers=headers)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
        assert "alice" not in answer.text


@pytest.mark.parametrize("path", ["/traces/t", "/sessions/s"])
def test_page_of_another_project_is_not_found(
    record: httpx2.Client, server: Server, charlie: Installation, path: str
) -> None:
    """Charlie is signed in and asks for Alice's project by its cookie: it is not his."""
    with httpx2.Client(base_url=server.url) as visitor:
        assert visitor.post(f"/login/{charlie.login_token}").status_code == 303
        visitor.cookies.set("teachback_project", server.installation.project.id)
        answer = visitor.get(path)
        lists = visitor.get("/feedback").text + visitor.get("/sessions").text
        revoked = visitor.post(f"/settings/keys/{tokens.key_id(server.secret_key)}/revoke")
    assert answer.status_code == 404
    assert revoked.status_code == 404
    assert "alice" not in answer.text + lists
    assert record.get("/v1/traces/t").status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),  # no browser
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "HERE"}, False),
        ({"origin": "HERE"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "HERE.evil.example"}, False),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/login", "/logout", "/settings/keys", "/theme", "/views", "/feedback/tags", "/lessons/l/act"],
)
def test_forms_of_other_sites_are_refused(
    server: Server, path: str, headers: dict[str, str], *, allowed: bool
) -> None:
    """What a browser says about where a form stood decides; cookies alone do not."""
    given = {name: value.replace("HERE", server.url) for name, value in headers.items()}
    answer = httpx2.post(server.url + path, headers=given, data={"email": ""})
    assert (answer.status_code != 403) == allowed


@pytest.mark.parametrize(
    ("path", "is_open"),
    [("/v1/feedback", True), ("/v1/feedback/f/withdraw", True), ("/v1/widget", True),
     ("/v1/traces", False), ("/v1/keys", False), ("/v1/projects/current", False),
     ("/feedback", False), ("/login", False)],
)  # fmt: skip
def test_pages_of_other_origins_may_call_what_the_widget_needs(
    server: Server, path: str, *, is_open: bool
) -> None:
    """CORS is open for feedback and the widget, never with cookies, and closed elsewhere."""
    origin = {"origin": "https://app.example"}
    asked = origin | {"access-control-request-method": "POST"}
    preflight = httpx2.options(server.url + path, headers=asked)
    answer = httpx2.get(server.url + path, headers=origin)
    for given in (preflight, answer):
        assert given.headers.get("access-control-allow-origin") == ("*" if is_open else None)
        assert "access-control-allow-credentials" not in given.headers
    assert (preflight.status_code == 204) == is_open
    if is_open:
        assert "teachback-token" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["/login", "/feedback", "/nothing", "/static/nothing", "/healthz"])
def test_pages_carry_the_headers_of_security(server: Server, path: str) -> None:
    """No foreign script, frame or type, on pages and on errors alike."""
    headers = httpx2.get(server.url + path, headers={"accept": "text/html"}).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/keys", "/v1/nothing"])
def test_answers_of_the_api_are_kept_nowhere(client: httpx2.Client, path: str) -> None:
    """They hold what people wrote, and keys."""
    headers = client.get(path).headers
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
