"""Full text: the documents of exchanges, and the order of those that hold a query's words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from teachback.store import vectors
from teachback.store.copy import as_columns
from teachback.store.database import Connection, Database
from teachback.store.places import find_places
from teachback.store.where import Where

#: Code points of each part that are indexed: a tsvector ends at one megabyte.
INDEXED = 50_000
#: Documents made in one transaction.
BATCH = 500
#: Word statistics are counted anew when a project has grown, or shrunk, by this share.
GROWTH = 0.2
#: Any fixed number, other than those of migrations and set-up.
COUNT_LOCK = 8_700_003
#: Words in more than this share of the documents say little, and are dropped while others remain.
COMMON = 0.05
#: A word in no more documents than this is looked up however small the project.
FEW = 100
#: Words of a query that count, rarest first, and documents that are ranked: more say little, and
#: take long.
MAX_WORDS, MAX_RANKED = 16, 3_000
#: BM25, the usual constants: saturation of repeated words, and weight of the length.
K1, B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query, in the form under which it is kept."""

    word: str
    #: Documents that hold it; 0 where at most one does.
    documents: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a query, rarest first, and what they are weighed against."""

    words: tuple[Word, ...]
    documents: float
    average_length: float

    @property
    def stems(self) -> list[str]:
        return [one.word for one in self.words]


@dataclass(frozen=True, slots=True)
class Found:
    """A trace whose document holds words of the query."""

    trace_id: str
    bm25: float


async def mark_waiting(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Note (project id, trace id) whose document is out of date, in their own transaction."""
    if keys:
        await connection.execute(
            "insert into search_waiting select * from unnest(%s::uuid[], %s::text[])",
            as_columns(keys),
        )


async def make_documents(db: Database) -> int:
    """Make the documents of some waiting traces; return how many marks were worked off."""
    async with db.transaction() as connection:
        taken = await connection.execute(
            """
            delete from search_waiting where ctid = any(array(
                select ctid from search_waiting limit %s for update skip locked))
            returning project_id, trace_id
            """,
            (BATCH,),
        )
        marks = await taken.fetchall()
        keys = sorted({(str(mark["project_id"]), mark["trace_id"]) for mark in marks})
        if keys:
            await connection.execute(_DOCUMENTS, [*as_columns(keys), INDEXED])
            removed = await connection.execute(_GONE, as_columns(keys))
            gone = {(str(row["project_id"]), row["trace_id"]) for row in await removed.fetchall()}
            await vectors.mark_waiting(connection, [key for key in keys if key not in gone])
    return len(marks)


#: Words of other languages than English are kept as they are: a wrong stemmer would maim them.
_DOCUMENTS = """
    with wanted as (
        select * from unnest(%s::uuid[], %s::text[]) as wanted (project_id, trace_id)
    ), words as (
        select w.project_id, w.trace_id, t.place_id,
               case when coalesce(t.locale, 'en') ilike 'en%%' then 'english' else 'simple' end
                   ::regconfig as language,
               concat_ws(E'\n', left(t.query, %s), left(t.output, 50000), (
                   select string_agg(concat_ws(E'\n', left(f.comment, 50000),
                                               left(f.correction, 50000)), E'\n')
                   from (select * from feedback f
                         where f.project_id = w.project_id and f.trace_id = w.trace_id
                           and not f.withdrawn order by occurred_at limit 50) f)) as words
        from wanted w join trace t on t.project_id = w.project_id and t.id = w.trace_id
    )
    insert into search_document (project_id, trace_id, place_id, tsv)
    select project_id, trace_id, place_id, to_tsvector(language, left(words, 200000)) from words
    on conflict (project_id, trace_id) do update set tsv = excluded.tsv
"""


#: A trace that was removed is found no more.
_GONE = """
    delete from search_document d using unnest(%s::uuid[], %s::text[]) as w (project_id, trace_id)
    where d.project_id = w.project_id and d.trace_id = w.trace_id and not exists (
        select from trace t where t.project_id = w.project_id and t.id = w.trace_id)
    returning d.project_id, d.trace_id
"""


async def count_words(db: Database) -> int:
    """Count words anew in a project that has changed enough; return the documents counted."""
    row = await db.one(
        """
        with sizes as (select project_id, count(*) as documents from search_document group by 1)
        select project_id::text as project_id, coalesce(sizes.documents, 0) as documents
        from sizes full join search_size known using (project_id)
        where abs(coalesce(sizes.documents, 0) - coalesce(known.documents, 0))
              > coalesce(known.documents, 0) * %s
        order by abs(coalesce(sizes.documents, 0) - coalesce(known.documents, 0)) desc limit 1
        """,
        (GROWTH,),
    )
    if row is None:
        return 0
    async with db.transaction() as connection:
        project = row["project_id"]
        # Two workers would count the same words twice over; the second waits, and counts again.
        await connection.execute("select pg_advisory_xact_lock(%s)", (COUNT_LOCK,))
        documents = sql.SQL("select tsv from search_document where project_id = {}").format(project)
        statement = documents.as_string(connection)
        await connection.execute("delete from search_term where project_id = %s", (project,))
        await connection.execute(
            "delete from search_size where project_id = %s and %s = 0", (project, row["documents"])
        )
        await connection.execute(
            """
            insert into search_term (project_id, word, documents)
            select %s, word, ndoc from ts_stat(%s) where ndoc > 1
            """,
            (project, statement),
        )
        await connection.execute(
            """
            insert into search_size (project_id, documents, average_length)
            select %(project)s, count(*), coalesce(avg(length(tsv)), 1) from search_document
            where project_id = %(project)s having count(*) > 0
            on conflict (project_id) do update
            set documents = excluded.documents, average_length = excluded.average_length
            """,
            {"project": project},
        )
        # A plan made for a small table is a bad one for a large table.
        await connection.execute("analyze search_document, trace, feedback")
    # What was counted is work, also where nothing is left.
    return max(int(row["documents"]), 1)


async def ask_words(db: Database, project_id: str, text: str) -> Asked:
    """Return the words of a text, and in how many documents of the project they stand."""
    rows = await db.all(
        """
        select size.documents, size.average_length, lexeme as word,
               coalesce(known.documents, 0) as held
        from (select coalesce(max(documents), 1)::float8 as documents,
                     coalesce(max(average_length), 50) as average_length
              from search_size where project_id = %(project)s) as size
        cross join unnest(tsvector_to_array(
            to_tsvector('english', %(text)s::text) || to_tsvector('simple', %(text)s::text)
        )) as lexeme
        left join search_term known on known.project_id = %(project)s and known.word = lexeme
        where length(lexeme) <= 200 order by held, word
        """,
        {"project": project_id, "text": text},
    )
    words = tuple(Word(row["word"], row["held"]) for row in rows)
    return Asked(words, *((rows[0]["documents"], rows[0]["average_length"]) if rows else (1, 50)))


async def find_by_words(
    db: Database, project_id: str, asked: Asked, *, narrowed: Where, limit: int
) -> list[Found]:
    """Return the traces whose documents hold words of the query, best first by BM25.

    Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009. Its
    length is the count of different words.
    """
    places = await find_places(db, project_id, narrowed)
    if not asked.words or places == "{}":
        return []
    words = asked.words[:MAX_WORDS]
    params = {
        **narrowed.params, "project": project_id, "places": places, "limit": limit,
        "candidates": candidates(asked), "most": MAX_RANKED, "average": asked.average_length,
        "k1": K1, "b": B,
        **{f"word{n}": _quoted(one) for n, one in enumerate(words)},
        **{f"idf{n}": _idf(one, asked) for n, one in enumerate(words)},
    }  # fmt: skip
    weights = [
        _WEIGHT.format(word=sql.Placeholder(f"word{n}"), idf=sql.Placeholder(f"idf{n}"))
        for n in range(len(words))
    ]
    statement = _RANKED.format(
        joined=_TRACE if narrowed.of_trace else sql.SQL(""),
        placed=sql.SQL("d.place_id = any(%(places)s::integer[])" if places else "true"),
        narrowed=narrowed.of_trace or sql.SQL("true"),
        bm25=sql.SQL(" + ").join(weights),
    )
    return [Found(row["trace_id"], row["bm25"]) for row in await db.all(statement, params)]


def candidates(asked: Asked) -> str:
    """Choose which documents are ranked, as a tsquery: those with a rare word, or with two others.

    As many as can be ranked, by what is known of the words; common words count while they are
    the only ones.
    """
    most = max(COMMON * asked.documents, FEW)
    words = [
        one for n, one in enumerate(asked.words[:MAX_WORDS]) if n == 0 or one.documents <= most
    ]
    room = float(MAX_RANKED)
    picked: list[str] = []
    while words and words[0].documents <= room:
        room -= words[0].documents
        picked.append(_quoted(words.pop(0)))
    together = [
        # Words that belong together meet more often than by chance.
        (2 * one.documents * other.documents / asked.documents, one, other)
        for one, other in itertools.combinations(words, 2)
    ]
    for expected, one, other in sorted(together, key=lambda pair: pair[0]):
        room -= expected
        if room < 0 and picked:
            break
        picked.append(f"({_quoted(one)} & {_quoted(other)})")
    return " | ".join(picked or [_quoted(one) for one in words])


def _quoted(word: Word) -> str:
    escaped = word.word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _idf(word: Word, asked: Asked) -> float:
    without = max(asked.documents - word.documents + 0.5, 0.5)
    return math.log(1 + without / (word.documents + 0.5))


_TRACE = sql.SQL("join trace t on t.project_id = d.project_id and t.id = d.trace_id")
#: Of one word, `ts_rank` is 0.6 / pi^2 times the sum of 1/k^2 for k up to how often it stands in
#: the document, which tells how often that is, far cheaper than a look at every word in it.
_WEIGHT = sql.SQL(
    "{idf}::float8 * (select often * (1 + k1) / (often + k) from (select round("
    "1 / (pi() * pi() / 6 * (1 - 10 * ts_rank(tsv, {word}::tsquery))) - 0.5) as often) o)"
)
_RANKED = sql.SQL("""
    with candidate as (
        select d.trace_id, d.tsv from search_document d {joined}
        where d.project_id = %(project)s and d.tsv @@ %(candidates)s::tsquery
          and {placed} and {narrowed}
        limit %(most)s
    )
    select trace_id, {bm25} as bm25 from (
        select *, %(k1)s::float8 as k1,
               %(k1)s * (1 - %(b)s + %(b)s * length(tsv) / %(average)s::float8) as k
        from candidate) c
    order by bm25 desc, trace_id limit %(limit)s
""")


async def stems(db: Database, words: str) -> list[str]:
    """Return the forms under which a text's words are kept, to find them in the original."""
    row = await db.one(
        "select tsvector_to_array(to_tsvector('english', %(words)s::text) "
        "|| to_tsvector('simple', %(words)s::text)) as stems",
        {"words": words},
    )
    assert row is not None  # a select without FROM has one row
    return list(row["stems"])


async def waiting(db: Database) -> int:
    """Return how many traces wait for their document."""
    row = await db.one("select count(*) as n from search_waiting")
    assert row is not None
    return int(row["n"])
