"""Made-up records for load: a trace and one feedback on it, 1 to 2 KB, no two alike."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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
#: Documents are shared by many traces, as in a real knowledge base.
DOCUMENTS = 1_000
REASONS = ("wrong_fact", "outdated", "off_topic", "too_vague", "too_long", "tone", "made_up")
SYSTEM_PROMPT = (
    "You are the support assistant of a shop. Answer from the documents, in short and friendly "
    "sentences. Say so when you do not know, and name the page where the customer can go on."
)


def batches(count: int, size: int, *, seed: int) -> Iterator[bytes]:
    """Yield bodies for POST /v1/batch of `size` records each."""
    draw = random.Random(seed)
    documents = [words(random.Random(number), 45) for number in range(DOCUMENTS)]
    for _ in range(count):
        pairs = [_record(draw, documents) for _ in range(size)]
        body = {"traces": [trace for trace, _ in pairs], "feedback": [word for _, word in pairs]}
        yield json.dumps(body, separators=(",", ":")).encode()


def words(draw: random.Random, count: int) -> str:
    """Return a sentence of so many drawn words."""
    return " ".join(draw.choices(WORDS, k=count)).capitalize() + "."


def _record(draw: random.Random, documents: list[str]) -> tuple[dict[str, Json], dict[str, Json]]:
    trace = _trace(draw, documents)
    return trace, _feedback(draw, trace)


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
