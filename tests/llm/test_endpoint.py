"""Services behind an address are spoken to as they wish, and not believed blindly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from teachback.boot import make_embedder
from teachback.config import load
from teachback.errors import SetupError, Unavailable
from teachback.llm.embed import BadVectors
from teachback.llm.endpoint import OpenAIEmbedder, VertexEmbedder
from teachback.llm.minilm import LOCAL_MODELS, MiniLM
from teachback.llm.succession import Succession


class Service:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        #: Answered first: (status, Retry-After).
        self.refusals: list[tuple[int, str]] = []
        self.url = ""
        self.waits: list[float] = []

    def openai(self, dimensions: int = 2) -> OpenAIEmbedder:
        return OpenAIEmbedder(url=self.url + "/v1", model="small", dimensions=dimensions,
                              key="k", prefix="openai", pause=self.waits.append)  # fmt: skip

    def vertex(self, model: str) -> VertexEmbedder:
        return VertexEmbedder(url=self.url + "/models", model=model, dimensions=2, key="k",
                              prefix="vertex", pause=self.waits.append)  # fmt: skip


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            service.asked.append((self.path, self.headers["authorization"], body))
            status, wait = service.refusals.pop(0) if service.refusals else (200, "")
            payload = json.dumps(service.answer(body)).encode() if status == 200 else b"busy"
            self.send_response(status)
            if wait:
                self.send_header("retry-after", wait)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Any]) -> Iterator[Service]:
    service = Service(answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(service)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield service
        server.shutdown()
        thread.join()


def as_openai(body: dict[str, Any]) -> Any:
    """Out of order, as the protocol allows; a text's vector tells its length."""
    data = [{"index": at, "embedding": [3 * len(text), 4 * len(text)]}
            for at, text in enumerate(body["input"])]  # fmt: skip
    return {"data": data[::-1]}


def as_vertex(body: dict[str, Any]) -> Any:
    return {"predictions": [{"embeddings": {"values": [0, len(one["content"])]}}
                            for one in body["instances"]]}  # fmt: skip


def test_openai_is_asked_in_batches() -> None:
    """With the key, in order, the ends of long texts left out."""
    with serving(as_openai) as service:
        vectors = service.openai().embed(["a"] * 64 + ["", "b" * 100_000])
    assert vectors.shape == (66, 2)
    assert vectors[0] == pytest.approx([0.6, 0.8])
    (path, key, first), (_, _, second) = service.asked
    assert (path, key) == ("/v1/embeddings", "Bearer k")
    assert first == {"model": "small", "input": ["a"] * 64, "encoding_format": "float"}
    assert second["input"] == [".", "b" * 8_000]


@pytest.mark.parametrize(("model", "requests"), [("gemini-embedding-001", 3), ("text-005", 1)])
def test_vertex_is_asked_as_its_model_wishes(model: str, requests: int) -> None:
    """Gemini takes one text in a request; nothing is cut off over there."""
    with serving(as_vertex) as service:
        vectors = service.vertex(model).embed(["a", "b", "c"])
    assert vectors.tolist() == [[0, 1]] * 3
    assert len(service.asked) == requests
    path, key, body = service.asked[0]
    assert (path, key) == (f"/models/{model}:predict", "Bearer k")
    assert body["parameters"] == {"autoTruncate": False, "outputDimensionality": 2}


def test_busy_service_is_asked_again_when_it_says() -> None:
    """After as long as it asks for, within reason."""
    with serving(as_openai) as service:
        service.refusals = [(429, "7"), (503, "9999"), (500, "soon")]
        assert service.openai().embed(["a"]).shape == (1, 2)
    assert service.waits[:2] == [7, 20]
    assert 0 < service.waits[2] <= 20


@pytest.mark.parametrize(("refusals", "requests"), [([(401, "")], 1), ([(503, "")] * 9, 4)])
def test_service_that_refuses_is_told_of(refusals: list[tuple[int, str]], requests: int) -> None:
    """A wrong key at once, a dead service after some attempts; never with what was sent."""
    with serving(as_openai) as service:
        service.refusals = refusals
        with pytest.raises(Unavailable, match=f"status {refusals[0][0]}") as told:
            service.openai().embed(["a secret text"])
    assert len(service.asked) == requests
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"data": []}, {"data": None}, [], {"data": [{"index": 0, "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [0, 0]}]},
        {"data": [{"index": 0, "embedding": [1, float("nan")]}]},
        {"data": [{"index": 0, "embedding": ["x", "y"]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": [1, 2, 3]}]},
    ],
)  # fmt: skip
def test_answer_of_a_wrong_shape_is_refused(answer: Any) -> None:
    """Other lengths, zeros, no numbers: nothing of it is kept."""
    with serving(lambda _: answer) as service, pytest.raises(BadVectors):
        service.openai().embed(["a"])


def test_vectors_of_different_lengths_are_refused() -> None:
    """One answer has one length."""
    rows = [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]
    with serving(lambda _: {"data": rows}) as service, pytest.raises(BadVectors):
        service.openai().embed(["a", "b"])


def test_former_models_are_asked_for_where_they_are() -> None:
    """Here, or at the configured address when it speaks their protocol; else nowhere."""
    minilm = MiniLM()
    here = Succession(minilm, url=None)
    assert here.former("openai:small:2") is None
    assert all(here.former(name) is minilm for name in LOCAL_MODELS)
    with serving(as_openai) as service:
        moved = Succession(service.openai(), url=service.url + "/v1", key="k")
        before = moved.former("openai:with:colon:2")
        assert before is not None
        assert before.model == "openai:with:colon:2"
        before.embed(["a"])
        assert service.asked[-1][1:] == (
            "Bearer k", {"model": "with:colon", "input": ["a"], "encoding_format": "float"}
        )  # fmt: skip
        assert moved.former("vertex:small:2") is None
        assert moved.former("unknown") is None
        assert isinstance(moved.former(minilm.model), MiniLM)
        back = Succession(minilm, url=service.url + "/v1", key="k").former("openai:small:2")
        assert isinstance(back, OpenAIEmbedder)


def test_settings_name_the_embedder() -> None:
    """Each by its word; what is missing is said."""
    assert make_embedder(load(embedder="none")) is None
    local = make_embedder(load(embedder="minilm"))
    assert local is not None
    assert local.model.startswith("minilm")
    url, model = "http://127.0.0.1:1", "m"
    for kind in ("openai", "vertex"):
        with pytest.raises(SetupError, match="TEACHBACK_EMBEDDING_URL"):
            make_embedder(load(embedder=kind))
        made = make_embedder(load(embedder=kind, embedding_url=url, embedding_model=model))
        assert made is not None
        assert made.model == f"{kind}:m:768"
