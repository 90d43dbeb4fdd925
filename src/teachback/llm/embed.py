"""Embedders: texts to unit vectors, from a model here or behind an address."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from teachback.errors import TeachbackError

Vectors = NDArray[np.float32]


class BadVectors(TeachbackError):
    """A model answered with vectors that cannot be used."""

    type = "bad_vectors"


class Embedder(Protocol):
    """Turns texts into vectors that are near each other when the texts mean the same."""

    @property
    def model(self) -> str:
        """Names the vectors: those of two models are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of each vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, in their order; blocks meanwhile.

        Raises Unavailable when the model cannot be asked now, BadVectors when its answer is no use.
        """


@runtime_checkable
class Successor(Protocol):
    """An embedder that knows how to ask for vectors of the models it replaces."""

    def former(self, model: str) -> Embedder | None:
        """Return what embeds a query for vectors of this model; None when nothing does."""


def embedder_for(embedder: Embedder, model: str) -> Embedder | None:
    """Return what embeds a query for vectors of this model: this embedder, or a former one."""
    if embedder.model == model:
        return embedder
    return embedder.former(model) if isinstance(embedder, Successor) else None


async def embed_async(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Embed in a thread, so that others go on."""
    return await asyncio.to_thread(embedder.embed, texts)


def checked(vectors: Vectors, *, texts: int, dimensions: int, model: str) -> Vectors:
    """Return the vectors at length one; raises BadVectors when one is no direction."""
    if vectors.shape != (texts, dimensions):
        raise BadVectors(
            f"{model} answered {texts} texts with numbers of shape {vectors.shape}: "
            f"({texts}, {dimensions}) was expected; check TEACHBACK_EMBEDDING_DIMENSIONS"
        )
    # In double precision: the squares of large numbers leave the range of single precision.
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1))
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise BadVectors(
            f"{model} answered with a vector that is zero, infinite or not a number: "
            "it has no direction; check the model behind the address"
        )
    units: Vectors = (wide / lengths[:, None]).astype(np.float32)
    return units
