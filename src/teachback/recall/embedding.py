"""Embed exchanges with feedback, behind the record: recording never waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from teachback.llm.embed import Embedder, embed_async
from teachback.store import vectors as store
from teachback.store.database import Database
from teachback.store.vectors import Model, Near, NewVector, Text
from teachback.store.where import Where

#: Exchanges embedded before their vectors are stored.
BATCH = 256
#: How much the embedding thread stands back behind what answers people.
NICE = 10


class Embedding:
    """Works off what waits, with one model."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, "embedding", initializer=stand_back)

    async def __call__(self, db: Database) -> int:
        """Embed some waiting exchanges; return how many were taken."""
        model = await store.use_model(db, self._embedder.model, self._embedder.dimensions)
        marks = await store.take(db, BATCH)
        if marks:
            texts = await store.list_texts(db, marks)
            await store.save_vectors(db, model, marks, await self._vectors(db, model, texts))
        else:
            await store.finish(db, model)
        return len(marks)

    async def _vectors(self, db: Database, model: Model, texts: Sequence[Text]) -> list[NewVector]:
        """Return a vector for each text; the same text is embedded once in a project."""
        hashes = [_hash(text.text) for text in texts]
        keys = [(text.project_id, digest) for text, digest in zip(texts, hashes, strict=True)]
        known = await store.find_known(db, model, sorted(set(keys)))
        fresh = {key: text.text for key, text in zip(keys, texts, strict=True) if key not in known}
        if fresh:
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(self._thread, self._embed, list(fresh.values()))
            known |= dict(zip(fresh, rows, strict=True))
        return [NewVector(text, key[1], known[key]) for text, key in zip(texts, keys, strict=True)]

    def _embed(self, texts: list[str]) -> list[str]:
        # In half precision, as they are kept: fewer digits to write and read.
        halves = self._embedder.embed(texts).astype(np.float16)
        return [store.as_vector(row) for row in halves.astype(np.float64).tolist()]


async def nearest(
    db: Database,
    project_id: str,
    embedder: Embedder,
    text: str,
    *,
    limit: int,
    ids: Sequence[str] | None = None,
    narrowed: Where | None = None,
) -> list[Near]:
    """Return the exchanges nearest in meaning to a text; none before the first are embedded."""
    model = await store.find_serving(db)
    if model is None or model.name != embedder.model:
        return []
    vector = (await embed_async(embedder, [text]))[0]
    return await store.nearest(
        db, project_id, model, vector.tolist(), limit=limit, ids=ids, narrowed=narrowed
    )


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def stand_back() -> None:
    """Let other threads go first; on Linux this holds for the thread alone."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
