"""Embed exchanges with feedback, behind the record: recording never waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from teachback.errors import Unavailable
from teachback.llm.embed import BadVectors, Embedder, embed_async, embedder_for
from teachback.store import vectors as store
from teachback.store.database import Database
from teachback.store.vectors import Mark, Model, Near, NewVector, Text
from teachback.store.where import Where

#: Exchanges embedded before their vectors are stored.
BATCH = 256
#: Batches at once: while one is read and stored, another has the processor.
HANDS = 2
#: How much the embedding threads stand back behind what answers people.
NICE = 10


class Embedding:
    """Works off what waits, with one model."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._threads = ThreadPoolExecutor(HANDS, "embedding", initializer=stand_back)

    async def __call__(self, db: Database) -> int:
        """Embed the waiting exchanges; return how many were taken."""
        model = await store.use_model(db, self._embedder.model, self._embedder.dimensions)
        marks = await store.take(db, BATCH)
        if not marks:
            await store.finish(db, model)
            return 0
        hands = [marks]
        while len(hands[-1]) == BATCH and len(hands) < HANDS:
            hands.append(await store.take(db, BATCH))
        done = await asyncio.gather(
            *(self._work_off(db, model, marks) for marks in hands), return_exceptions=True
        )
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return sum(one for one in done if isinstance(one, int))

    async def _work_off(self, db: Database, model: Model, marks: Sequence[Mark]) -> int:
        done = 0
        while marks:
            texts = await store.list_texts(db, marks)
            await store.save_vectors(db, model, marks, await self._vectors(db, model, texts))
            done += len(marks)
            marks = await store.take(db, BATCH)
        return done

    async def _vectors(self, db: Database, model: Model, texts: Sequence[Text]) -> list[NewVector]:
        """Return a vector for each text; the same text is embedded once in a project."""
        hashes = [_hash(text.text) for text in texts]
        keys = [(text.project_id, digest) for text, digest in zip(texts, hashes, strict=True)]
        known = await store.find_known(db, model, sorted(set(keys)))
        fresh = {key: text.text for key, text in zip(keys, texts, strict=True) if key not in known}
        if fresh:
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(self._threads, self._embed, list(fresh.values()))
            known |= dict(zip(fresh, rows, strict=True))
        return [NewVector(text, key[1], known[key]) for text, key in zip(texts, keys, strict=True)]

    def _embed(self, texts: list[str]) -> list[bytes]:
        return [store.as_bytes(row) for row in self._embedder.embed(texts).tolist()]


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
    """Return the exchanges nearest in meaning to a text; none before the first are embedded.

    While a model replaces another, the former answers where it can still be asked, and beside it
    the new one for what has come since. Their cosines cannot be compared: rank by rank.
    """
    orders: list[list[Near]] = []
    models = await store.list_answering(db, embedder.model)
    for model in models:
        asked = embedder_for(embedder, model.name)
        if asked is None:
            continue
        try:
            vector = (await embed_async(asked, [text]))[0].tolist()
        except (Unavailable, BadVectors):
            if model.name == embedder.model:
                raise
            continue  # the former model is gone: what has been embedded anew is found
        orders.append(await store.nearest(
            db, project_id, model, vector, limit=limit, ids=ids, narrowed=narrowed
        ))  # fmt: skip
    return _by_rank(orders)[:limit]


def _by_rank(orders: Sequence[Sequence[Near]]) -> list[Near]:
    """Put first what is first in any order; each text of an exchange once."""
    found: dict[tuple[str, str], Near] = {}
    for rank in range(max(map(len, orders), default=0)):
        for order in orders:
            if rank < len(order):
                found.setdefault((order[rank].id, order[rank].kind), order[rank])
    return list(found.values())


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def stand_back() -> None:
    """Let other threads go first; on Linux this holds for the thread alone."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
