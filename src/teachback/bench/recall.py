"""The suite `recall`: whether the right thing is remembered, and silence kept where nothing fits.

Everything here is asked of the product's own functions: what is remembered (`core.memory`), and
when it may be used (`recall.gate`). Nothing is fitted on test parts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from teachback.bench import abstention, inject
from teachback.bench.product import scratch
from teachback.bench.progress import Progress
from teachback.bench.public_data import (
    MISSING,
    LabelledTexts,
    Row,
    TextVectors,
    banking77,
    clinc150,
    loaders,
)
from teachback.bench.report import Figure
from teachback.core.memory import POOL, Comparison, Memory
from teachback.llm.minilm import MiniLM
from teachback.stats.intervals import mean, share

#: Draws of what is remembered.
DRAWS, QUICK_DRAWS = 20, 3
#: Remembered texts an intent.
SIZES = (1, 3, 5)
#: Queries compared at once: memory holds so many rows.
AT_ONCE = 500
#: Of a report's text, as its measured alternatives read it.
REPORT = 1_500

#: Best of BM25 and the encoder alone, where someone measured them: figure → value.
TARGETS = {
    "clinc150_r1_1": 0.67, "clinc150_r1_3": 0.82, "clinc150_r1_5": 0.865,
    "clinc150_oos_auroc": 0.94, "clinc150_oos_rejected": 0.72,
    "clinc150_oos_auroc_full": 0.955, "clinc150_oos_rejected_full": 0.80,
    "hadoop_duplicates_r5": 0.72,
}  # fmt: skip
#: How much better than the encoder alone the whole has to be on Banking77.
GAIN = 0.01

Loaders = dict[str, Callable[[], Iterator[Row]]]


def run(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure ranking, abstention and calibration on public data, and how long injecting takes."""
    with scratch() as folder:
        waits = inject.figures(folder, quick=quick, progress=progress)
    return waits + on_public_data(quick=quick, progress=progress)


def on_public_data(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure ranking, abstention and calibration; skipped where there are no data."""
    sets = loaders()
    if sets is None:
        return [Figure(name=name, value=None, unit="share", note=MISSING) for name in TARGETS]
    vectors = TextVectors(MiniLM(threads=2), progress)
    draws = QUICK_DRAWS if quick else DRAWS
    figures: list[Figure] = []
    for name, labelled in (
        ("clinc150", clinc150(sets["clinc150"]())),
        ("banking77", banking77(sets["banking77"]())),
    ):
        asked = [pair for pair in labelled.asked if pair[1] is not None]
        inside = replace(labelled, asked=asked[::3] if quick else asked)
        figures += _ranking(name, inside, vectors, draws, progress)
    figures += _out_of_scope(clinc150(sets["clinc150"]()), vectors, draws, progress)
    figures.append(_duplicates(list(sets["gitbugs"]()), vectors, progress))
    return figures + abstention.figures(sets, vectors, draws, progress)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one draw remembers, and the queries of the project that nothing is known of."""

    texts: list[str]
    labels: list[str]
    pool: list[str]


def drawn(known: dict[str, list[str]], size: int, seed: int) -> Drawn:
    """Draw so many texts of each label; smaller draws of one seed are part of the larger ones."""
    texts: list[str] = []
    labels: list[str] = []
    for label, there in known.items():
        chosen = random.Random(f"{seed} {label}").sample(there, min(max(SIZES), len(there)))
        chosen = there if size > max(SIZES) else chosen[:size]
        texts += chosen
        labels += [label] * len(chosen)
    everything = [text for there in known.values() for text in there]
    pool = random.Random(f"{seed} pool").sample(everything, min(POOL, len(everything)))
    return Drawn(texts, labels, pool)


def remember(one: Drawn, vectors: TextVectors, *, alone: bool = False) -> Memory:
    """Remember a draw as the product does; `alone` without other queries of the project."""
    pool = None if alone else vectors.of(one.pool)
    return Memory(one.texts, vectors.of(one.texts), one.labels, pool)


def compared(memory: Memory, texts: Sequence[str], vectors: TextVectors) -> Comparison:
    """Compare any number of queries."""
    parts = [
        memory.compare(texts[at : at + AT_ONCE], vectors.of(texts[at : at + AT_ONCE]))
        for at in range(0, len(texts), AT_ONCE)
    ]
    return Comparison(
        score=np.concatenate([part.score for part in parts]),
        centre=np.concatenate([part.centre for part in parts]),
        nearest=np.concatenate([part.nearest for part in parts]),
        words=np.concatenate([part.words for part in parts]),
        crowding=parts[0].crowding,
    )


def figure(name: str, values: Sequence[float], *, unit: str = "share", **others: Any) -> Figure:
    """Make a figure of the mean over draws, with its interval."""
    numbers = np.asarray(values, np.float64)
    found = mean(float(numbers.sum()), float((numbers**2).sum()), len(numbers))
    assert found is not None  # there is at least one draw
    several = {"low": found.low, "high": found.high} if found.n > 1 else {}
    given: dict[str, Any] = {"target": TARGETS.get(name), **several, **others}
    return Figure(name=name, value=found.value, unit=unit, n=found.n, **given)


def _ranking(
    name: str, labelled: LabelledTexts, vectors: TextVectors, draws: int, progress: Progress
) -> list[Figure]:
    texts = [text for text, _ in labelled.asked]
    figures: list[Figure] = []
    for size in SIZES:
        found: dict[str, list[float]] = {}
        for seed in range(draws):
            progress(f"{name}, {size} of each: draw {seed + 1} of {draws}")
            one = drawn(labelled.known, size, seed)
            memory = remember(one, vectors)
            asked = compared(memory, texts, vectors)
            bare = compared(remember(one, vectors, alone=True), texts, vectors)
            for way, scores in (
                ("whole", asked.score), ("words", asked.words), ("encoder", asked.nearest),
                ("bare", bare.score),
            ):  # fmt: skip
                for depth in (1, 5):
                    right = _right(memory, scores, labelled.asked, depth)
                    found.setdefault(f"{way} {depth}", []).append(right)
        figures += [_ranked(name, size, depth, found) for depth in (1, 5)]
    return figures


def _ranked(name: str, size: int, depth: int, found: dict[str, list[float]]) -> Figure:
    words, encoder, bare = (
        float(np.mean(found[f"{way} {depth}"])) for way in ("words", "encoder", "bare")
    )
    full = f"{name}_r{depth}_{size}"
    more: dict[str, Any] = {"target": encoder + GAIN} if name == "banking77" and depth == 1 else {}
    return figure(
        full, found[f"whole {depth}"], reference=encoder, source="the encoder alone, nearest text",
        note=f"BM25 alone {words:.3f}; without the {POOL:,} unjudged queries of the training part "
        f"that tell neighbourhoods {bare:.3f}", **more,
    )  # fmt: skip


def _right(
    memory: Memory, scores: np.ndarray, asked: Sequence[tuple[str, str | None]], depth: int
) -> float:
    """Return the share of queries with their label among the first few groups."""
    number = {group: at for at, group in enumerate(memory.groups)}
    truth = np.array([number[label or ""] for _, label in asked])
    own = scores[np.arange(len(truth)), truth][:, None]
    return float(((scores > own).sum(axis=1) < depth).mean())


def _out_of_scope(
    labelled: LabelledTexts, vectors: TextVectors, draws: int, progress: Progress
) -> list[Figure]:
    texts = [text for text, _ in labelled.asked]
    inside = np.array([label is not None for _, label in labelled.asked])
    figures: list[Figure] = []
    for suffix, size, count in (("", max(SIZES), draws), ("_full", max(SIZES) + 1, 1)):
        tells: dict[str, list[float]] = {}
        for seed in range(count):
            progress(f"clinc150, out of scope{suffix}: draw {seed + 1} of {count}")
            asked = compared(remember(drawn(labelled.known, size, seed), vectors), texts, vectors)
            for way, scores in (("whole", asked.score), ("encoder", asked.nearest)):
                best = scores.max(axis=1)
                tells.setdefault(f"{way} auroc", []).append(auroc(best[inside], best[~inside]))
                least = np.quantile(best[inside], 0.05)
                tells.setdefault(f"{way} rejected", []).append(
                    float((best[~inside] < least).mean())
                )
        figures += [_told(tell, suffix, tells) for tell in ("auroc", "rejected")]
    return figures


def _told(tell: str, suffix: str, tells: dict[str, list[float]]) -> Figure:
    return figure(
        f"clinc150_oos_{tell}{suffix}", tells[f"whole {tell}"],
        unit="" if tell == "auroc" else "share",
        reference=float(np.mean(tells[f"encoder {tell}"])), source="the encoder alone",
        note="best score of a query; no request out of scope was learned from",
    )  # fmt: skip


def auroc(above: np.ndarray, below: np.ndarray) -> float:
    """Return how often a value of the first is above one of the second; ties count half."""
    values = np.concatenate([above, below])
    _, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[number]
    least = len(above) * (len(above) + 1) / 2
    return float((ranks[: len(above)].sum() - least) / (len(above) * len(below)))


def _duplicates(reports: Sequence[Row], vectors: TextVectors, progress: Progress) -> Figure:
    """Find each report's duplicate: a group has two texts, the title and the whole."""
    progress("gitbugs: duplicates")
    ids = [report["Issue id"] for report in reports]
    titles = [report["Summary"] for report in reports]
    wholes = [f"{report['Summary']}\n{report['Description'][:REPORT]}" for report in reports]
    memory = Memory(titles + wholes, vectors.of(titles + wholes), ids + ids, vectors.of(wholes))
    asked = [at for at, report in enumerate(reports) if report["duplicates"]]
    views = [compared(memory, [texts[at] for at in asked], vectors) for texts in (titles, wholes)]
    scores = views[0].score + views[1].score
    scores[np.arange(len(asked)), asked] = -np.inf
    first = np.argsort(-scores, axis=1)[:, :5]
    hits = [
        any(ids[place] in reports[at]["duplicates"] for place in places)
        for at, places in zip(asked, first.tolist(), strict=True)
    ]
    found = share(sum(hits), len(hits))
    assert found is not None  # there are reports with duplicates
    return Figure(
        name="hadoop_duplicates_r5", value=found.value, unit="share", n=found.n, low=found.low,
        high=found.high, target=TARGETS["hadoop_duplicates_r5"], reference=0.643,
        source="BM25", note="each report against all 2,502 others; the query is the report itself",
    )  # fmt: skip
