"""What means the same is found in other words; words find alone when there is no model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import httpx2
import numpy as np
import pytest

from conftest import Server
from support.wire import rating, trace
from teachback.core.filters import parse
from teachback.errors import Unavailable
from teachback.llm.embed import Embedder, Vectors
from teachback.llm.minilm import MiniLM
from teachback.recall.embedding import Embedding
from teachback.recall.search import Hit, search, similar
from teachback.store import search as documents
from teachback.store.database import Database

pytestmark = pytest.mark.anyio

QUERIES = {
    "t-1": ("How do I get my money back?", "member"),
    "t-2": ("Where can I change my password?", "admin"),
    "t-3": ("The application crashes when I open it.", "admin"),
}


class Away:
    """A model behind an address that does not answer."""

    model, dimensions = MiniLM().model, MiniLM().dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise Unavailable("away")


@pytest.fixture
async def filled(client: httpx2.Client, server: Server, db: Database) -> Database:
    """Three embedded exchanges with feedback, in the server's database."""
    for name, (query, role) in QUERIES.items():
        client.post("/v1/traces", json=trace(id=name, query=query, output="…", role=role))
        client.post("/v1/feedback", json=rating(name, author="u"))
    return db


async def _hits(server: Server, text: str, embedder: Embedder | None) -> list[Hit]:
    db = Database(server.dsn, max_size=2)
    await db.open()
    try:
        while await documents.make_documents(db):
            pass
        embedding = Embedding(MiniLM())
        while await embedding(db):
            pass
        row = await db.one("select project_id::text as id from trace where query = %s "
                           "order by received_at desc limit 1", (QUERIES["t-1"][0],))  # fmt: skip
        assert row is not None
        if text.startswith("like:"):
            name = text.removeprefix("like:")
            return await similar(db, row["id"], name, now=datetime.now(UTC), embedder=embedder)
        return await search(db, row["id"], parse(text), now=datetime.now(UTC), embedder=embedder)
    finally:
        await db.close()


async def test_other_words_find_what_means_the_same(filled: Database, server: Server) -> None:
    """No word in common: found by meaning alone, and first."""
    hits = await _hits(server, "refund", MiniLM())
    assert hits[0].trace.id == "t-1"
    assert (hits[0].by_words, hits[0].by_meaning) == (None, 1)


async def test_conditions_hold_for_meaning_too(filled: Database, server: Server) -> None:
    """What does not meet them is not found, however near."""
    hits = await _hits(server, "role:admin refund credentials", MiniLM())
    assert [hit.trace.id for hit in hits] == ["t-2"]


async def test_unrelated_words_find_nothing(filled: Database, server: Server) -> None:
    """Nearest is not near."""
    assert await _hits(server, "volcano geology", MiniLM()) == []


@pytest.mark.parametrize("embedder", [None, Away()])
async def test_words_find_alone_when_there_is_no_model(
    filled: Database, server: Server, embedder: Embedder | None
) -> None:
    """Search goes on while the model is away, or none is wanted."""
    hits = await _hits(server, "password", embedder)
    assert [(hit.trace.id, hit.by_words, hit.by_meaning) for hit in hits] == [("t-2", 1, None)]
    assert await _hits(server, "refund", embedder) == []


async def test_similar_exchange_in_other_words(
    filled: Database, server: Server, client: httpx2.Client
) -> None:
    """More like this one, by meaning."""
    client.post("/v1/traces", json=trace(id="t-4", query="I want to be refunded"))
    client.post("/v1/feedback", json=rating("t-4", author="u"))
    hits = await _hits(server, "like:t-1", MiniLM())
    assert hits[0].trace.id == "t-4"
    assert np.isfinite(hits[0].score)
