"""Words are ranked by BM25 as it is written in books, among the documents that matter."""

from __future__ import annotations

import math
import random

import pytest
from psycopg import sql

from teachback.record.access import make_project
from teachback.store import search as store
from teachback.store.database import Database
from teachback.store.search import Asked, Word, ask_words, candidates, find_by_words
from teachback.store.where import Where

pytestmark = pytest.mark.anyio

VOCABULARY = [f"w{n}" for n in range(30)]
ALL = Where(sql.SQL("true"))


async def _index(db: Database, texts: list[str]) -> str:
    project = (await make_project(db, "x")).id
    await db.run(
        "insert into search_document (project_id, trace_id, tsv) "
        "select %s, 't-' || at, to_tsvector('simple', text) "
        "from unnest(%s::text[]) with ordinality as each (text, at)",
        (project, texts),
    )
    while await store.count_words(db):
        pass
    return project


async def test_order_is_that_of_bm25(db: Database) -> None:
    """Counted here word by word; what occurs often counts once more each time, and ever less."""
    draw = random.Random(5)
    texts = [" ".join(draw.choices(VOCABULARY, k=draw.randint(3, 60))) for _ in range(80)]
    texts.append("w1 " * 250 + "w2")
    project = await _index(db, texts)
    asked = await ask_words(db, project, "w1 w2 w3 nowhere")
    found = await find_by_words(db, project, asked, narrowed=ALL, limit=100)
    lengths = [len(set(text.split())) for text in texts]
    average = sum(lengths) / len(texts)
    scores: dict[str, float] = {}
    for number, text in enumerate(texts, 1):
        words = text.split()
        for word in ("w1", "w2", "w3"):
            often = words.count(word)
            held = sum(word in other.split() for other in texts)
            idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
            norm = 1.2 * (0.25 + 0.75 * lengths[number - 1] / average)
            if often:
                scores[f"t-{number}"] = scores.get(f"t-{number}", 0.0) + idf * often * 2.2 / (
                    often + norm
                )
    assert {one.trace_id for one in found} == scores.keys()
    for one in found:
        assert one.bm25 == pytest.approx(scores[one.trace_id])
    assert [one.bm25 for one in found] == sorted((one.bm25 for one in found), reverse=True)


@pytest.mark.parametrize(
    ("documents", "chosen"),
    [
        ([10, 20], "'a' | 'b'"),
        ([10, 9_000], "'a'"),  # in more than a twentieth of all: says little
        ([9_000, 9_500], "'a'"),  # nothing else is there
        ([10, 2_995, 4_000], "'a' | ('b' & 'c')"),  # too many for the room, but for both
        ([4_000, 4_500], "('a' & 'b')"),
        ([4_000], "'a'"),
    ],
)
def test_rare_words_choose_alone_and_others_together(documents: list[int], chosen: str) -> None:
    """As many documents as can be ranked; common words count while they are the only ones."""
    words = tuple(Word(name, held) for name, held in zip("abc", documents, strict=False))
    assert candidates(Asked(words, 100_000, 50)) == chosen


def test_strange_words_are_quoted() -> None:
    """Whatever a lexeme holds is no syntax."""
    assert candidates(Asked((Word("a'\\", 1),), 10, 5)) == "'a''\\\\'"
