"""Public data sets, where TEACHBACK_DATA names their folder, and the vectors of their texts."""

from __future__ import annotations

import random
import runpy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from teachback.bench.progress import Progress
from teachback.config import public_data
from teachback.llm.embed import Embedder, Vectors

#: Why a figure is skipped.
MISSING = "no public data: set TEACHBACK_DATA to the folder that holds load.py"
#: Texts embedded between two signs of life.
BATCH = 2_000

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledTexts:
    """Texts to remember by label, and texts to ask with; None labels what belongs nowhere."""

    known: dict[str, list[str]]
    asked: list[tuple[str, str | None]]
    #: Belong nowhere, and may be learned from.
    strange: list[str]


def loaders() -> dict[str, Callable[[], Iterator[Row]]] | None:
    """Return the loaders of the data sets by name; None where there are none."""
    folder = public_data()
    path = folder / "load.py" if folder else None
    return runpy.run_path(str(path)) if path and path.is_file() else None


def banking77(rows: Iterable[Row]) -> LabelledTexts:
    """Sort questions of bank customers: the training part is remembered, the test part asked."""
    return _split(rows, "category")


def clinc150(rows: Iterable[Row]) -> LabelledTexts:
    """Sort requests to an assistant, and requests of none of its intents."""
    rows = list(rows)
    inside = _split((row for row in rows if row["domain"] is not None), "intent")
    outside = [row for row in rows if row["domain"] is None]
    return LabelledTexts(
        known=inside.known,
        asked=inside.asked + [(row["text"], None) for row in outside if row["split"] == "test"],
        strange=[row["text"] for row in outside if row["split"] != "test"],
    )


def divided(pairs: Iterable[tuple[str, str]], seed: int) -> LabelledTexts:
    """Divide texts with labels that have no parts: a quarter is asked."""
    by_label: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for text, label in pairs:
        by_label[label][text] = None
    draw = random.Random(seed)
    known: dict[str, list[str]] = {}
    asked: list[tuple[str, str | None]] = []
    for label in sorted(by_label):
        texts = list(by_label[label])
        draw.shuffle(texts)
        quarter = len(texts) // 4
        asked += [(text, label) for text in texts[:quarter]]
        known[label] = texts[quarter:]
    return LabelledTexts(known=known, asked=asked, strange=[])


def _split(rows: Iterable[Row], label: str) -> LabelledTexts:
    known: defaultdict[str, list[str]] = defaultdict(list)
    asked: list[tuple[str, str | None]] = []
    for row in rows:
        if row["split"] == "train":
            known[row[label]].append(row["text"])
        elif row["split"] == "test":
            asked.append((row["text"], row[label]))
    return LabelledTexts(known=dict(sorted(known.items())), asked=asked, strange=[])


class TextVectors:
    """The vectors of texts, each made once."""

    def __init__(self, embedder: Embedder, progress: Progress) -> None:
        self._embedder = embedder
        self._progress = progress
        self._places: dict[str, int] = {}
        self._kept = np.zeros((0, embedder.dimensions), np.float32)

    def of(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, of shape (texts, dimensions)."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._places]
        made = [self._kept]
        for begin in range(0, len(fresh), BATCH):
            self._progress(f"{begin:,} of {len(fresh):,} texts embedded")
            made.append(self._embedder.embed(fresh[begin : begin + BATCH]))
        self._places |= {text: len(self._kept) + at for at, text in enumerate(fresh)}
        self._kept = np.concatenate(made)
        vectors: Vectors = self._kept[[self._places[text] for text in texts]]
        return vectors
