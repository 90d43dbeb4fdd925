"""Made-up records for load: a trace and one feedback on it, 1 to 2 KB, no two alike."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from teachback.model.ids import new_id
from teachback.model.trace import Json

WORDS = (
    "account invoice refund delivery parcel address password login order return voucher card bank "
    "customer support ticket answer please thank you we can the a your our in on of to with for "
    "within days after before until working open close change update cancel confirm receive send "
    "choose select button page menu settings profile mobile desktop email phone number name date "
    "price total discount shipping tracking status pending failed completed again always never "
    "because however therefore if then when where which whose some many few first last next"
).split()
MODELS = ("small-1", "large-2", "large-3")
#: A trace, and the feedback on it.
Record = tuple[dict[str, Json], dict[str, Json]]
#: Documents are shared by many traces, as in a real knowledge base.
DOCUMENTS = 1_000
REASONS = ("wrong_fact", "outdated", "off_topic", "too_vague", "too_long", "tone", "made_up")
SYSTEM_PROMPT = (
    "You are the support assistant of a shop. Answer from the documents, in short and friendly "
    "sentences. Say so when you do not know, and name the page where the customer can go on."
)


def batches(count: int, size: int, *, seed: int, days: int = 0) -> Iterator[bytes]:
    """Yield bodies for POST /v1/batch of `size` records each.

    With `days`, they are spread over that time, in the dimensions of trends, and in a vocabulary
    of rare and common words as people have it.
    """
    draw = random.Random(seed)
    made = records(draw, days=days, texts=lambda count: rare_words(draw, count))
    for _ in range(count):
        pairs = list(islice(made, size))
        body = {"traces": [trace for trace, _ in pairs], "feedback": [word for _, word in pairs]}
        yield json.dumps(body, separators=(",", ":")).encode()


def records(draw: random.Random, *, days: int, texts: Callable[[int], str]) -> Iterator[Record]:
    """Yield records without end; with `days`, their texts are so many of the words given."""
    documents = [words(random.Random(number), 45) for number in range(DOCUMENTS)]
    while True:
        trace, said = _record(draw, documents)
        if days:
            _spread(draw, trace, said, days, texts)
        yield trace, said


def words(draw: random.Random, count: int) -> str:
    """Return a sentence of so many drawn words."""
    return " ".join(draw.choices(WORDS, k=count)).capitalize() + "."


def _record(draw: random.Random, documents: list[str]) -> Record:
    trace = _trace(draw, documents)
    return trace, _feedback(draw, trace)


def _spread(
    draw: random.Random, trace: dict[str, Json], said: dict[str, Json], days: int,
    texts: Callable[[int], str],
) -> None:  # fmt: skip
    ago = timedelta(days=draw.uniform(0, days))
    started = datetime.now(UTC) - ago
    release = int((days * 86_400 - ago.total_seconds()) // (14 * 86_400))
    trace |= {
        "query": texts(12),
        "output": texts(80),
        "started_at": started.isoformat(),
        "role": draw.choices(("member", "admin", "owner", "guest"), weights=(70, 20, 8, 2))[0],
        "surface": draw.choices(("web", "app", "mail"), weights=(60, 35, 5))[0],
        "locale": draw.choices(("en", "de", "fr"), weights=(70, 20, 10))[0],
        "environment": draw.choices(("prod", "test"), weights=(95, 5))[0],
        "request_model": MODELS[min(2, release // 2)],
        "release": f"r-{release}",
        "tags": ["vip"] if draw.random() < 0.03 else [],
    }
    said["occurred_at"] = min(
        started + timedelta(minutes=draw.uniform(0, 600)), datetime.now(UTC)
    ).isoformat()
    if said["kind"] == "annotation":
        said |= _annotation(draw, str(trace["output"]))


#: Words by rank; how often a word is used falls with its rank, as in any language (Zipf).
VOCABULARY = 20_000


def rare_words(draw: random.Random, count: int) -> str:
    """Return so many words drawn by Zipf's law."""
    ranks = [int(VOCABULARY ** draw.random()) for _ in range(count)]
    return " ".join(WORDS[rank] if rank < len(WORDS) else f"term{rank}" for rank in ranks)


class Texts:
    """Stretches of one long text of rare and common words: cheap, and hardly two alike."""

    def __init__(self, draw: random.Random, length: int = 1_000_000) -> None:
        self._draw = draw
        self._words = rare_words(draw, length).split()

    def __call__(self, count: int) -> str:
        start = self._draw.randrange(len(self._words) - count)
        return " ".join(self._words[start : start + count])


def _trace(draw: random.Random, documents: list[str]) -> dict[str, Json]:
    started = datetime.now(UTC) - timedelta(seconds=draw.uniform(1, 60))
    document = draw.randrange(DOCUMENTS)
    return {
        "id": new_id(),
        "query": words(draw, 14),
        "output": words(draw, 80),
        "context": [
            {"kind": "system_prompt", "name": "support", "version": "3", "content": SYSTEM_PROMPT},
            {
                "kind": "document",
                "name": f"doc-{document}",
                "version": "1",
                "content": documents[document],
                "score": round(draw.random(), 4),
            },
        ],
        "started_at": started.isoformat(),
        "session_id": f"s-{draw.getrandbits(40):x}",
        "turn": draw.randint(1, 6),
        "request_model": draw.choice(MODELS),
        "input_tokens": draw.randint(200, 900),
        "output_tokens": draw.randint(40, 200),
        "latency_ms": round(draw.uniform(200, 4_000), 1),
        "user_id": f"u-{draw.randrange(5_000)}",
        "environment": "prod",
        "metadata": {"channel": draw.choice(("web", "app")), "ticket": draw.getrandbits(31)},
    }


def _feedback(draw: random.Random, trace: dict[str, Json]) -> dict[str, Json]:
    kind = draw.choices(tuple(KINDS), weights=(50, 20, 12, 8, 4, 6))[0]
    return {
        "id": new_id(),
        "kind": kind,
        "trace_id": trace["id"],
        "author": trace["user_id"],
        **KINDS[kind](draw, str(trace["output"])),
    }


def _rating(draw: random.Random, _: str) -> dict[str, Json]:
    return {"score": draw.randint(0, 1), "scale": "thumbs", "comment": words(draw, 6)}


def _reasons(draw: random.Random, _: str) -> dict[str, Json]:
    return {"labels": list(draw.sample(REASONS, 2))}


def _comment(draw: random.Random, _: str) -> dict[str, Json]:
    return {"comment": words(draw, 18)}


def _correction(draw: random.Random, output: str) -> dict[str, Json]:
    return {"correction": f"{output[: len(output) // 2]} {words(draw, 12)}"}


def _annotation(draw: random.Random, output: str) -> dict[str, Json]:
    start = draw.randrange(len(output) - 40)
    end = start + draw.randint(8, 40)
    return {
        "comment": words(draw, 8),
        "selector": {"exact": output[start:end], "start": start, "end": end},
    }


def _implicit(draw: random.Random, _: str) -> dict[str, Json]:
    return {"name": "copy", "score": round(draw.random(), 3)}


KINDS = {
    "rating": _rating,
    "reasons": _reasons,
    "comment": _comment,
    "correction": _correction,
    "annotation": _annotation,
    "implicit": _implicit,
}
