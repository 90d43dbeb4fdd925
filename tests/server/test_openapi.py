"""The server's description of itself is true, and no body of any shape breaks a route."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Server
from teachback.server.api.routes import ROUTES
from tests_support import rating, trace


@pytest.fixture
def described(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{server.url}/openapi.json").json()
    return found


def _operation(described: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][path.replace(":id}", "}")][method.lower()]
    return found


@pytest.mark.parametrize(("method", "path", "access"), [(r[0], r[1], r[3]) for r in ROUTES])
def test_route_is_described(described: dict[str, Any], method: str, path: str, access: str) -> None:
    """What it does, who may call it, and what its path holds."""
    operation = _operation(described, method, path)
    assert operation["summary"]
    assert operation["description"]
    assert operation["x-access"] == access
    assert operation["security"] == ([] if access == "anybody" else [{"key": []}])
    held = {word.partition(":")[0].strip("{}") for word in path.split("/") if word[:1] == "{"}
    given_ = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
    assert given_ == held


@pytest.mark.parametrize(
    ("method", "path"), [(r[0], r[1]) for r in ROUTES if r[0] in ("POST", "PATCH")]
)
def test_body_is_described(described: dict[str, Any], method: str, path: str) -> None:
    """Every writing route says what it takes."""
    content = _operation(described, method, path)["requestBody"]["content"]
    assert content["application/json"]["schema"]


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    """No tool that reads the description stumbles."""
    shapes = described["components"]["schemas"]
    found = _references(described)
    assert {"TraceIn", "FeedbackIn", "SpanIn", "SelectorIn"} <= found <= shapes.keys()
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


STRANGE = ["\0", "\ud800", "", "é" * 300, "9999-12-31T23:59:59Z"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(STRANGE)
)
NAMES = st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
GOOD: dict[str, dict[str, Any]] = {
    "/v1/traces": trace("x", context=[{"kind": "document", "content": "d"}],
                        spans=[{"id": "a", "name": "b"}], tags=[], metadata={}, turn=1),
    "/v1/feedback": rating("t", 1, selector={"exact": "a", "start": 0, "end": 1}, labels=["tone"],
                           occurred_at="2026-03-01T12:00:00Z", metadata={}, span_id="a"),
    "/v1/batch": {"traces": [], "feedback": [], "report": {}, "sent_at": "2026-03-01T12:00:00Z"},
    "/v1/feedback/f/withdraw": {"author": "bob"},
    "/v1/feedback/f/thread": {"action": "reply", "comment": "a", "author": "bob", "id": "e"},
    "/v1/projects": {"name": "x"},
    "/v1/projects/current": {"name": "x", "reasons": [{"label": "a", "title": "b"}], "metrics": []},
    "/v1/keys": {"kind": "secret", "name": "x"},
}  # fmt: skip


@pytest.mark.parametrize("path", GOOD)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_body_is_our_error(client: httpx2.Client, path: str, data: st.DataObject) -> None:
    """A good body with one member replaced by anything is accepted or refused, never a 5xx."""
    name = data.draw(st.sampled_from([*GOOD[path], "unknown"]))
    body = GOOD[path] | {name: data.draw(JSON)}
    raw = json.dumps(body).encode()
    method = "PATCH" if path.endswith("current") else "POST"
    answer = client.request(method, path, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code < 500, (body, answer.text)
    assert answer.status_code < 300 or answer.json()["error"]["message"]
