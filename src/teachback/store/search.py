"""Full text: the documents of exchanges, and the order of those that hold a query's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from teachback.store import vectors
from teachback.store.copy import as_columns
from teachback.store.database import Connection, Database
from teachback.store.where import Where

#: Code points of each part that are indexed: a tsvector ends at one megabyte.
INDEXED = 50_000
#: Documents made in one transaction.
BATCH = 500
#: Word statistics are counted anew when a project has grown by this share.
GROWTH = 0.2
#: Any fixed number, other than those of migrations and set-up.
COUNT_LOCK = 8_700_003
#: Words in more than this share of the documents say little, and are dropped while others remain.
COMMON = 0.05
#: A word in no more documents than this is looked up however small the project.
FEW = 100
#: Words of a query that are looked up, rarest first, and documents that are ranked: common words
#: alone would rank a large part of the project.
MAX_WORDS, MAX_RANKED = 16, 800
#: BM25, the usual constants: saturation of repeated words, and weight of the length.
K1, B = 1.2, 0.75


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
            await vectors.mark_waiting(connection, keys)
    return len(marks)


#: Words of other languages than English are kept as they are: a wrong stemmer would maim them.
_DOCUMENTS = """
    with wanted as (
        select * from unnest(%s::uuid[], %s::text[]) as wanted (project_id, trace_id)
    ), words as (
        select w.project_id, w.trace_id,
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
    insert into search_document (project_id, trace_id, tsv)
    select project_id, trace_id, to_tsvector(language, left(words, 200000)) from words
    on conflict (project_id, trace_id) do update set tsv = excluded.tsv
"""


async def count_words(db: Database) -> int:
    """Count words anew in a project that has grown enough; return the documents counted."""
    row = await db.one(
        """
        with sizes as (select project_id, count(*) as documents from search_document group by 1)
        select sizes.project_id::text as project_id, sizes.documents
        from sizes left join search_size known using (project_id)
        where sizes.documents > coalesce(known.documents, 0) * (1 + %s)
        order by sizes.documents - coalesce(known.documents, 0) desc limit 1
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
            where project_id = %(project)s
            on conflict (project_id) do update
            set documents = excluded.documents, average_length = excluded.average_length
            """,
            {"project": project},
        )
        # A plan made for a small table is a bad one for a large table.
        await connection.execute("analyze search_document, trace, feedback")
    return int(row["documents"])


async def find_by_words(
    db: Database, project_id: str, words: str, *, narrowed: Where, limit: int
) -> list[Found]:
    """Return the traces whose documents hold words of the text, best first by BM25.

    Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009. Its
    length is the count of different words.
    """
    params = {
        "project": project_id, "words": words, "common": COMMON, "few": FEW, "max_words": MAX_WORDS,
        "max_ranked": MAX_RANKED, "k1": K1, "b": B, "limit": limit, **narrowed.params,
    }  # fmt: skip
    joined = _TRACE if narrowed.params else sql.SQL("")
    rows = await db.all(_RANKED.format(narrowed=narrowed.text, joined=joined), params)
    return [Found(row["trace_id"], row["bm25"]) for row in rows]


_TRACE = sql.SQL("join trace t on t.project_id = d.project_id and t.id = d.trace_id")
_RANKED = sql.SQL("""
    with size as (
        select coalesce(max(documents), 1)::float8 as documents,
               coalesce(max(average_length), 50) as average_length
        from search_size where project_id = %(project)s
    ), asked as (
        select lexeme as word, coalesce(known.documents, 0) as documents,
               ln(1 + greatest(size.documents - coalesce(known.documents, 0) + 0.5, 0.5)
                      / (coalesce(known.documents, 0) + 0.5)) as idf
        from size, unnest(tsvector_to_array(
                 to_tsvector('english', %(words)s::text)
                 || to_tsvector('simple', %(words)s::text))) as lexeme
        left join search_term known on known.project_id = %(project)s and known.word = lexeme
        where length(lexeme) <= 200 order by 2 limit %(max_words)s
    ), told as (
        select *, sum(documents) over (order by documents, word) as ranked,
               row_number() over (order by documents, word) as place from asked
    ), picked as (
        select word from told, size
        where place = 1 or (told.documents <= greatest(%(common)s * size.documents, %(few)s)
                            and told.ranked <= %(max_ranked)s)
    ), candidate as (
        select d.trace_id, d.tsv from search_document d
        {joined}
        where d.project_id = %(project)s
          and d.tsv @@ (select string_agg(quote_literal(word), ' | ')::tsquery from picked)
          and {narrowed}
        limit %(max_ranked)s
    )
    select trace_id, (
        select sum(idf * often * (%(k1)s + 1)
                   / (often + %(k1)s * (1 - %(b)s + %(b)s * length(tsv) / average_length)))
        from (select lexeme, least(cardinality(positions), 255) as often from unnest(tsv)) as held
        join asked on asked.word = held.lexeme, size) as bm25
    from candidate order by bm25 desc nulls last, trace_id limit %(limit)s
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
