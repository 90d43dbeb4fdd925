"""Exchanges with feedback get vectors, soon after and whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from conftest import install
from teachback.core.filters import parse
from teachback.errors import Unavailable
from teachback.llm.embed import Embedder, Vectors
from teachback.llm.minilm import MiniLM
from teachback.recall import embedding
from teachback.recall.embedding import Embedding, nearest
from teachback.store import search
from teachback.store import vectors as store
from teachback.store.database import Database
from teachback.store.places import Place, ask_places, read_places
from teachback.store.where import where

pytestmark = pytest.mark.anyio


class Counting:
    """Vectors of a kind of their own, made of a text's characters; counts what it is asked."""

    def __init__(self, model: str = "counting", dimensions: int = 16) -> None:
        self.model = model
        self.dimensions = dimensions
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.dimensions)
                for text in texts]  # fmt: skip
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


async def _record(db: Database, project: str, trace_id: str, query: str) -> None:
    now = datetime.now(UTC)
    await db.run(
        """
        insert into trace (project_id, id, started_at, received_at, environment, query, sanitized,
                           digest) values (%s, %s, %s, %s, 'prod', %s, false, '')
        """,
        (project, trace_id, now, now, query),
    )


async def _complain(
    db: Database, project: str, trace_id: str, comment: str, *, withdrawn: bool = False
) -> None:
    now = datetime.now(UTC)
    await db.run(
        """
        insert into feedback (project_id, id, natural_key, trace_id, kind, name, source, author,
            identifier, confidence, comment, withdrawn, negative, matched, occurred_at, received_at,
            sanitized, digest)
        values (%(project)s, %(trace)s, md5(%(trace)s)::uuid, %(trace)s, 'comment', 'comment',
            'end_user', 'u', '', 1, %(comment)s, %(withdrawn)s, true, true, %(now)s, %(now)s,
            false, '')
        on conflict (project_id, id) do update
        set comment = excluded.comment, withdrawn = excluded.withdrawn
        """,
        {"project": project, "trace": trace_id, "comment": comment, "withdrawn": withdrawn,
         "now": now},
    )  # fmt: skip
    async with db.transaction() as connection:
        await search.mark_waiting(connection, [(project, trace_id)])


async def _work(db: Database, work: Embedding) -> None:
    while await search.make_documents(db):
        pass
    while await work(db):
        pass


async def _kinds(db: Database) -> list[tuple[str, str]]:
    rows = await db.all("select trace_id, kind from embedding order by 1, 2")
    return [(row["trace_id"], row["kind"]) for row in rows]


async def test_exchange_is_found_by_its_meaning(db: Database) -> None:
    """By the user's turn and by the complaint, in one project alone."""
    project = (await install(db)).project.id
    other = (await install(db)).project.id
    minilm: Embedder = MiniLM()
    await _record(db, project, "t-1", "How do I get my money back?")
    await _record(db, project, "t-2", "How do I add a colleague?")
    await _complain(db, project, "t-1", "Nothing about deadlines.")
    await _complain(db, project, "t-2", "The page it names has been removed.")
    await _record(db, other, "t-3", "How do I get a refund?")
    await _complain(db, other, "t-3", "Wrong.")
    await _work(db, Embedding(minilm))
    found = await nearest(db, project, minilm, "I want a refund", limit=1)
    assert [(one.id, one.kind) for one in found] == [("t-1", "query")]
    found = await nearest(db, project, minilm, "link to a page that no longer exists", limit=1)
    assert [(one.id, one.kind) for one in found] == [("t-2", "complaint")]
    found = await nearest(db, project, minilm, "I want a refund", limit=5, ids=["t-2"])
    assert {one.id for one in found} == {"t-2"}


async def test_same_text_is_embedded_once(db: Database) -> None:
    """However many people ask the same."""
    project = (await install(db)).project.id
    for number in range(5):
        await _record(db, project, f"t-{number}", "How?")
        await _complain(db, project, f"t-{number}", "No.")
    model = Counting()
    work = Embedding(model)
    await _work(db, work)
    await _complain(db, project, "t-1", "No.")
    await _work(db, work)
    assert sorted(model.asked) == ["How?", "No."]
    assert len(await _kinds(db)) == 10


async def test_vectors_follow_what_is_said(db: Database) -> None:
    """A changed complaint has a new vector, a withdrawn one none, a late trace its own."""
    project = (await install(db)).project.id
    model = Counting()
    work = Embedding(model)
    await _complain(db, project, "t-1", "Wrong.")
    await _work(db, work)
    assert await _kinds(db) == [("t-1", "complaint")]
    await _record(db, project, "t-1", "How?")
    await _complain(db, project, "t-1", "Still wrong.")
    await _work(db, work)
    assert await _kinds(db) == [("t-1", "complaint"), ("t-1", "query")]
    found = await nearest(db, project, model, "Still wrong.", limit=1)
    assert found[0].cosine > 0.99
    await _complain(db, project, "t-1", "Still wrong.", withdrawn=True)
    await _work(db, work)
    assert await _kinds(db) == [("t-1", "query")]


async def test_feedback_that_comes_while_its_exchange_is_embedded_is_not_lost(db: Database) -> None:
    """The mark has moved, so the work is done again."""
    project = (await install(db)).project.id
    await _complain(db, project, "t-1", "First.")
    await search.make_documents(db)
    model = await store.use_model(db, "m", 2)
    marks = await store.take(db, 10)
    assert [mark.trace_id for mark in marks] == ["t-1"]
    assert await store.take(db, 10) == []
    await _complain(db, project, "t-1", "Second.")
    await search.make_documents(db)
    await store.save_vectors(db, model, marks, [])
    assert [mark.trace_id for mark in await store.take(db, 10)] == ["t-1"]


async def test_work_of_a_dead_worker_goes_to_another(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken and not finished waits again when its time is over."""
    project = (await install(db)).project.id
    await _complain(db, project, "t-1", "Wrong.")
    await search.make_documents(db)
    monkeypatch.setattr(store, "LEASE_S", -1)
    assert len(await store.take(db, 10)) == 1
    await _work(db, Embedding(Counting()))
    assert await _kinds(db) == [("t-1", "complaint")]


async def test_old_vectors_serve_until_the_new_model_is_complete(db: Database) -> None:
    """Then the new ones do, and the old are gone."""
    project = (await install(db)).project.id
    for number in range(3):
        await _complain(db, project, f"t-{number}", f"Wrong {number}.")
    old, new = Counting("old"), Counting("new", 8)
    await _work(db, Embedding(old))
    chosen = await store.use_model(db, "new", 8)
    await store.finish(db, chosen)
    assert len(await nearest(db, project, old, "Wrong 1.", limit=5)) == 3
    assert await nearest(db, project, new, "Wrong 1.", limit=5) == []
    await _work(db, Embedding(new))
    assert [one.id for one in await nearest(db, project, new, "Wrong 1.", limit=1)] == ["t-1"]
    assert await nearest(db, project, old, "Wrong 1.", limit=5) == []
    assert await db.all("select distinct m.name from embedding e join embedding_model m "
                        "on m.id = e.model_id") == [{"name": "new"}]  # fmt: skip


class Succeeding(Counting):
    """A model that knows how to ask the one it replaces."""

    def __init__(self, model: str, dimensions: int, before: Embedder) -> None:
        super().__init__(model, dimensions)
        self.before = before

    def former(self, model: str) -> Embedder | None:
        return self.before if model == self.before.model else None


class Gone(Counting):
    """A model whose service has been switched off."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise Unavailable("gone")


async def test_search_finds_by_the_former_model_and_what_came_since_by_the_new_one(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While vectors are replaced nothing is lost, unless the former model itself is gone."""
    project = (await install(db)).project.id
    for number in range(4):
        await _complain(db, project, f"t-{number}", f"Wrong {number}.")
    old = Counting("old")
    await _work(db, Embedding(old))
    new = Succeeding("new", 8, old)
    await _complain(db, project, "t-9", "Later.")
    while await search.make_documents(db):
        pass
    model = await store.use_model(db, "new", 8)
    marks = [mark for mark in await store.take(db, 10) if mark.trace_id == "t-9"]
    vector = store.as_bytes(new.embed(["Later."])[0].tolist())
    later = store.NewVector(store.Text(project, "t-9", "complaint", "Later."), b"x", vector)
    await store.save_vectors(db, model, marks, [later])
    for number in range(4):
        found = await nearest(db, project, new, f"Wrong {number}.", limit=5)
        assert found[0].id == f"t-{number}"
    found = await nearest(db, project, new, "Later.", limit=5)
    assert "t-9" in {one.id for one in found[:2]}
    assert len({(one.id, one.kind) for one in found}) == len(found) == 5
    gone = Succeeding("new", 8, Gone("old"))
    assert [one.id for one in await nearest(db, project, gone, "Later.", limit=5)] == ["t-9"]
    monkeypatch.setattr(store, "LEASE_S", -1)
    await store.take(db, 10)
    await _work(db, Embedding(new))
    assert {one.id for one in await nearest(db, project, new, "Wrong 1.", limit=5)} == {
        "t-0", "t-1", "t-2", "t-3", "t-9"
    }  # fmt: skip


async def test_many_exchanges_are_worked_off_by_several_hands(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each exchange once, also when there are more batches than hands."""
    monkeypatch.setattr(embedding, "BATCH", 3)
    project = (await install(db)).project.id
    for number in range(20):
        await _complain(db, project, f"t-{number:02}", f"Wrong {number}.")
    while await search.make_documents(db):
        pass
    model = Counting()
    assert await Embedding(model)(db) == 20
    assert sorted(model.asked) == sorted(f"Wrong {number}." for number in range(20))
    assert len(await _kinds(db)) == 20


async def test_unchanged_texts_keep_their_vectors(db: Database) -> None:
    """Feedback that comes later writes nothing anew: an index is spared the work."""
    project = (await install(db)).project.id
    await _record(db, project, "t-1", "How?")
    await _complain(db, project, "t-1", "No.")
    work = Embedding(Counting())
    await _work(db, work)
    rows = "select kind, xmin::text from embedding order by 1"
    before = {row["kind"]: row["xmin"] for row in await db.all(rows)}
    await _complain(db, project, "t-1", "Not at all.")
    await _work(db, work)
    after = {row["kind"]: row["xmin"] for row in await db.all(rows)}
    assert after["query"] == before["query"]
    assert after["complaint"] != before["complaint"]


async def test_narrow_search_finds_as_much_as_a_wide_one(db: Database) -> None:
    """One row in two hundred: by index, by its project, and by ids named, 95 of 100 are found."""
    large, small = (await install(db)).project.id, (await install(db)).project.id
    model = await store.use_model(db, "m", 16)
    random = np.random.default_rng(7)
    rows = random.normal(size=(4_000, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    of_small = np.arange(4_000) % 200 == 0
    await store.save_vectors(
        db, model, [],
        [store.NewVector(store.Text(small if of_small[at] else large, f"t-{at}", "query", ""),
                         at.to_bytes(4), store.as_bytes(row.tolist()))
         for at, row in enumerate(rows)],
    )  # fmt: skip
    await store.make_index(db, model, above=100)
    await db.run("analyze embedding")
    for project, mask in ((small, of_small), (large, ~of_small)):
        members = np.flatnonzero(mask)
        narrow = members[:20]
        for ids, among in ((None, members), ([f"t-{at}" for at in narrow], narrow)):
            hits = 0
            for query in rows[:10]:
                best = among[np.argsort(-(rows[among] @ query))[:10]]
                found = await store.nearest(
                    db, project, model, query.tolist(), limit=10, ids=ids, exact=10
                )
                hits += len({f"t-{at}" for at in best} & {one.id for one in found})
            assert hits >= 95


async def test_conditions_narrow_a_large_project_without_loss(db: Database) -> None:
    """A condition that one trace in 200 meets: the index is walked on, or all are compared."""
    project = (await install(db)).project.id
    model = await store.use_model(db, "m", 16)
    rows = np.random.default_rng(3).normal(size=(4_000, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rare, usual = (Place(project, "", (), "prod", role, "", "", "") for role in ("rare", "usual"))
    async with db.transaction() as connection:
        numbers = await read_places(await ask_places(connection, [rare, usual]))
    places = [numbers[usual if at % 200 else rare] for at in range(4_000)]
    await store.save_vectors(
        db, model, [],
        [store.NewVector(store.Text(project, f"t-{at}", "query", "", places[at]), at.to_bytes(4),
                         store.as_bytes(row.tolist())) for at, row in enumerate(rows)],
    )  # fmt: skip
    await store.make_index(db, model, above=100)
    await db.run("analyze embedding")
    narrowed = where(parse("role:rare"), "trace", datetime.now(UTC))
    members = np.arange(0, 4_000, 200)
    hits = 0
    for query in rows[:10]:
        best = members[np.argsort(-(rows[members] @ query))[:10]]
        found = await store.nearest(
            db, project, model, query.tolist(), limit=10, narrowed=narrowed, exact=10
        )
        hits += len({f"t-{at}" for at in best} & {one.id for one in found})
    assert hits >= 95


async def test_index_is_walked_in_a_large_project(db: Database) -> None:
    """The statement orders by what the index holds."""
    project = (await install(db)).project.id
    model = await store.use_model(db, "m", 16)
    units = (
        np.eye(16)[np.arange(3_000) % 16] + np.random.default_rng(1).normal(size=(3_000, 16)) / 9
    )
    await store.save_vectors(
        db, model, [],
        [store.NewVector(store.Text(project, f"t-{at}", "query", ""), at.to_bytes(4),
                         store.as_bytes(row.tolist())) for at, row in enumerate(units)],
    )  # fmt: skip
    await store.make_index(db, model, above=100)
    await db.run("analyze embedding")
    await store.nearest(db, project, model, units[0].tolist(), limit=10, exact=10)
    await db.run("select pg_stat_force_next_flush()")
    row = await db.one(
        "select idx_scan from pg_stat_user_indexes where indexrelname = %s",
        (f"embedding_near_{model.id}",),
    )
    assert row is not None
    assert row["idx_scan"] >= 1
