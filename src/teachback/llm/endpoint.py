"""Embedders behind an address: the protocols of OpenAI and of Vertex AI."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from teachback.llm.embed import BadVectors, Vectors, checked
from teachback.llm.service import Service

#: Texts in one request: every known service takes as many.
BATCH = 64
#: About 2,000 tokens, the shortest limit among known services.
MAX_CHARACTERS = 8_000
TIMEOUT_S = 30.0
#: An empty text is refused by most services; this one's vector stands for it.
NOTHING = "."
#: Models that take one text in a request.
ONE_BY_ONE = ("gemini-embedding",)


class Endpoint:
    """Sends texts in batches and asks again when the service is busy."""

    def __init__(
        self, *, url: str, model: str, dimensions: int, key: str | None, prefix: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.model = f"{prefix}:{model}:{dimensions}"
        self.dimensions = dimensions
        self._name = model
        self._service = Service(url, key, timeout_s=TIMEOUT_S, pause=pause)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text; the ends of very long ones are not read."""
        read = [text[:MAX_CHARACTERS].strip() or NOTHING for text in texts]
        size = self._batch()
        rows = [
            row
            for start in range(0, len(read), size)
            for row in self._embed(read[start : start + size])
        ]
        numbers = self._array(rows)
        return checked(numbers, texts=len(texts), dimensions=self.dimensions, model=self.model)

    def _batch(self) -> int:
        return BATCH

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError

    def _array(self, rows: list[list[float]]) -> Vectors:
        if not rows:
            return np.zeros((0, self.dimensions), np.float32)
        try:
            return np.array(rows, np.float32)
        except (TypeError, ValueError):
            raise BadVectors(
                f"{self.model} answered with vectors of different lengths, or without numbers: "
                "check the model behind the address"
            ) from None

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer; raises Unavailable when it does not come after some attempts."""
        return self._service.post(
            path, body, failure=f"{self.model} gave no vectors",
            check="TEACHBACK_EMBEDDING_URL, TEACHBACK_EMBEDDING_MODEL and TEACHBACK_EMBEDDING_KEY",
        )  # fmt: skip


class OpenAIEmbedder(Endpoint):
    """Any service that answers `POST /embeddings` as OpenAI does."""

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self._name, "input": list(texts), "encoding_format": "float"}
        answer = self._post("/embeddings", body)
        return _found(
            self.model, lambda: [one["embedding"] for one in sorted(answer["data"], key=_place)]
        )


def _place(one: dict[str, Any]) -> int:
    return int(one["index"])


class VertexEmbedder(Endpoint):
    """Vertex AI: `POST /MODEL:predict` below the address of a publisher's models."""

    def _batch(self) -> int:
        return 1 if self._name.startswith(ONE_BY_ONE) else BATCH

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        body = {
            "instances": [{"content": text} for text in texts],
            # Better an error than a vector of half a text: what is too long is cut here.
            "parameters": {"autoTruncate": False, "outputDimensionality": self.dimensions},
        }
        answer = self._post(f"/{self._name}:predict", body)
        return _found(
            self.model, lambda: [one["embeddings"]["values"] for one in answer["predictions"]]
        )


#: Protocol → its embedder, as settings and the names of models begin.
KINDS: dict[str, type[Endpoint]] = {"openai": OpenAIEmbedder, "vertex": VertexEmbedder}


def _found(model: str, read: Callable[[], list[list[float]]]) -> list[list[float]]:
    try:
        return read()
    except (KeyError, TypeError, ValueError):
        raise BadVectors(
            f"{model} answered in an unknown shape: check TEACHBACK_EMBEDDER and "
            "TEACHBACK_EMBEDDING_URL"
        ) from None
