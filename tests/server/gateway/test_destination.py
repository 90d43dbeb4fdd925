"""Nothing in a request decides where it goes, or learns what pays for it."""

from __future__ import annotations

import httpx2
import pytest

from support.gateway import ASKED, Through, gateway, shared_gateway
from support.upstream import KEY

__all__ = ["gateway", "shared_gateway"]

ELSEWHERE = "http://evil.example/v1"
HEADERS = {
    "x-forwarded-host": "evil.example", "x-forwarded-for": "10.0.0.1", "forwarded": "host=evil",
    "x-forwarded-proto": "https", "x-original-url": ELSEWHERE, "x-base-url": ELSEWHERE,
    "openai-organization": "org-foreign", "openai-project": "proj-foreign", "api-key": "k",
    "cookie": "teachback_login=x", "proxy-authorization": "Basic x", "origin": "http://evil",
    "x-real-ip": "10.0.0.1", "x-stainless-lang": "python", "traceparent": "00-1-2-03",
}  # fmt: skip


def test_request_goes_where_the_configuration_says(gateway: Through) -> None:
    """Whatever addresses stand in body, query and headers; strangers' headers stay here."""
    body = {"model": "plain", "messages": ASKED, "api_base": ELSEWHERE, "base_url": ELSEWHERE,
            "host": "evil.example", "custom_llm_provider": "x"}  # fmt: skip
    path = f"/v1/chat/completions?api_base={ELSEWHERE}&x=%2e%2e/%2e%2e"
    answer = gateway.post(path, body, **HEADERS)
    assert answer.status_code == 200
    seen = gateway.upstream.last
    assert seen.path.startswith("/v1/chat/completions?api_base=")
    assert seen.headers["host"] == f"127.0.0.1:{gateway.upstream.port}"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    passed = {name for name in HEADERS if name in seen.headers}
    assert passed == {"x-original-url", "x-base-url", "x-stainless-lang", "traceparent"}
    assert gateway.server.secret_key not in str(seen.headers)


def test_headers_of_one_connection_end_with_it(gateway: Through) -> None:
    """Those that `Connection` names, too."""
    given = {"connection": "keep-alive, x-secret-hop", "x-secret-hop": "1", "te": "trailers"}
    gateway.post("/v1/chat/completions", {"model": "plain", "messages": ASKED}, **given)
    assert not {"x-secret-hop", "te"} & set(gateway.upstream.last.headers)


def test_redirect_is_not_followed(gateway: Through) -> None:
    """The key goes to no address but the configured one."""
    assert gateway.chat("redirects").status_code == 502
    assert [seen.path for seen in gateway.upstream.seen] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "given",
    [
        ["Bearer ' or 1=1 --"], ["Bearer tb_sk_x_y' union select"], ["Bearer " + "x" * 50_000],
        ["Bearer \xff\xfe"], ["Bearer"], [""], ["Basic dTpw"], ["KEY", "Bearer other"],
        ["Bearer KEY", "Bearer KEY2"], ["bearer\tKEY"],
    ],
)  # fmt: skip
def test_strange_keys_are_refused_alike(gateway: Through, given: list[str]) -> None:
    """401 of one shape on every address, never 500."""
    key = gateway.server.secret_key
    values = [text.replace("KEY", key).encode("latin-1") for text in given]
    headers = [(b"authorization", value) for value in values]
    with httpx2.Client(base_url=gateway.server.url, headers=headers) as client:
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings"):
            answer = client.post(path, json={"model": "plain", "messages": ASKED})
            assert answer.status_code == 401
            assert set(answer.json()) <= {"type", "error"}
            assert "api_key" in answer.json()["error"]["message"] or "API key" in answer.text
        assert client.get("/v1/models").status_code == 401
    assert gateway.upstream.seen == []


def test_two_keys_are_none(gateway: Through) -> None:
    """A request that says two things is not guessed at."""
    answer = gateway.post(
        "/v1/messages", {"model": "claude-plain", "messages": ASKED}, **{"x-api-key": "other"}
    )
    assert answer.status_code == 401


def test_key_of_the_provider_stays_here(gateway: Through) -> None:
    """Neither answers, nor errors, nor traces hold it."""
    for model in ("plain", "status:400", "unauthorized", "dies", "gone", "redirects"):
        answer = gateway.chat(model)
        trace = gateway.trace_of(answer)
        assert KEY not in answer.text + str(answer.headers) + str(trace)
