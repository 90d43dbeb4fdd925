"""An embedder, and the ones it replaces: asked until the vectors of the new one are complete."""

from __future__ import annotations

from collections.abc import Sequence

from teachback.llm.embed import Embedder, Vectors
from teachback.llm.endpoint import KINDS
from teachback.llm.minilm import LOCAL_MODELS, MiniLM


class Succession:
    """Embeds as the current embedder does, and knows how to ask for former vectors."""

    def __init__(
        self, current: Embedder, *, url: str | None = None, key: str | None = None
    ) -> None:
        """Name the address that is configured: a former model is asked for there."""
        self.model = current.model
        self.dimensions = current.dimensions
        self._current = current
        self._url = url
        self._key = key
        self._formers: dict[str, Embedder | None] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, by the current embedder."""
        return self._current.embed(texts)

    def former(self, model: str) -> Embedder | None:
        """Return what embeds a query for vectors of this model; None when nothing here does."""
        if model not in self._formers:
            self._formers[model] = self._make(model)
        return self._formers[model]

    def _make(self, model: str) -> Embedder | None:
        if model in LOCAL_MODELS:
            return self._current if isinstance(self._current, MiniLM) else MiniLM()
        kind, _, rest = model.partition(":")
        name, _, dimensions = rest.rpartition(":")
        now = self.model.partition(":")[0]
        # Another protocol's former model would be asked for at the wrong address.
        if self._url is None or kind not in KINDS or now in KINDS.keys() - {kind}:
            return None
        return KINDS[kind](
            url=self._url, model=name, dimensions=int(dimensions), key=self._key, prefix=kind,
            pause=_at_once,
        )  # fmt: skip


def _at_once(_: float) -> None:
    """Do not wait: whoever searches is better served by words than by a model that is gone."""
