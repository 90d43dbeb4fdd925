"""The mapping files of `examples/` import the public sets as they lie, byte for byte."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from support.commands import teachback
from support.wire import Wire
from teachback.bench.product import Product

pytestmark = [pytest.mark.data, pytest.mark.timeout(600)]

MAPPINGS = Path(__file__).parent.parent.parent / "examples" / "mappings"
STARS = {"Bad": 1, "Could be Improved": 2, "Acceptable": 4, "Excellent": 5}
Record = dict[str, Any]


@pytest.fixture(scope="module")
def folder() -> Path:
    found = Path(os.environ.get("TEACHBACK_DATA", "."))
    if not (found / "load.py").is_file():
        pytest.skip("no public data: set TEACHBACK_DATA to the folder that holds load.py")
    return found


def _import(product: Product, wire: Wire, name: str, files: Iterable[Path]) -> Record:
    """Import files twice; return what the first run stored. The second must store nothing."""
    total: Counter[str] = Counter()
    for file in files:
        first = _run(product, wire, file, name)
        again = _run(product, wire, file, name)
        assert (again["stored"], again["duplicates"]) == (0, first["stored"] + first["duplicates"])
        total.update({word: first[word] for word in ("stored", "traces", "feedback", "rows")})
        assert first["refused"]["count"] == first["problems"]["count"] == 0
    return dict(total)


def _run(product: Product, wire: Wire, file: Path, name: str) -> Record:
    done = teachback(
        "import", file, "--mapping", MAPPINGS / f"{name}.toml", "--json",
        url=product.url, key=wire.key,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report: Record = json.loads(done.stdout)
    return report


def _export(product: Product, wire: Wire, target: Path, tag: str) -> list[Record]:
    """Return the traces that carry a tag, each whole and with its feedback, as they are kept."""
    done = teachback(
        "export", "--kind", "traces", "--where", f"tag:{tag}", "-o", target,
        url=product.url, key=wire.key,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    traces = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    return [trace | {"feedback": wire.trace(trace["id"])["feedback"]} for trace in traces]


def _given(trace: Record, kind: str) -> list[Record]:
    return sorted(
        (one for one in trace["feedback"] if one["kind"] == kind), key=lambda one: one["id"]
    )


def test_feedbackqa(product: Product, wire: Wire, folder: Path, tmp_path: Path) -> None:
    """Every passage with all its ratings and comments, each by its own judge."""
    files = sorted(folder.glob("feedbackqa/*/feedback_*.json"))
    total = _import(product, wire, "feedbackqa", files)
    rows = [row for file in files for row in json.loads(file.read_text("utf-8"))]
    assert total["traces"] == total["rows"] == len(rows) == 1_641
    kept = {}
    for trace in _export(product, wire, tmp_path / "t.jsonl", "feedbackqa"):
        passage = trace["metadata"]["passage"]
        kept[trace["query"], passage["source"], passage["passage_id"]] = trace
    assert len(kept) == 1_641
    for row in rows:
        trace = kept[row["question"], row["passage"]["source"], row["passage"]["passage_id"]]
        shown = row["passage"]["reference"]["section_content"]
        assert trace["output"] == trace["context"][0]["content"] == shown
        assert trace["metadata"]["passage"] == row["passage"]
        ratings = _given(trace, "rating")
        assert [one["label"] for one in ratings] == row["rating"]
        assert [one["score"] for one in ratings] == [STARS[word] for word in row["rating"]]
        said = {one["author"]: one["comment"] for one in _given(trace, "comment")}
        expected = {f"judge-{n}": text for n, text in enumerate(row["feedback"], 1) if text}
        assert said == expected


def test_defacto(product: Product, wire: Wire, folder: Path, tmp_path: Path) -> None:
    """Every summary with its judgement, explanation and corrected text."""
    files = [folder / "defacto" / "data" / f"{split}.jsonl" for split in ("train", "val")]
    total = _import(product, wire, "defacto", files)
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    assert total["traces"] == len(rows) == 1_486
    kept: dict[tuple[str, str, str], Record] = {}
    for trace in _export(product, wire, tmp_path / "t.jsonl", "defacto"):
        explained = _given(trace, "rating")[0]["comment"]
        kept[trace["context"][0]["content"], trace["output"], explained] = trace
    for row in rows:
        said = row["feedback"]
        trace = kept[row["article"], row["candidate"], said["explanation"]]
        assert trace["metadata"]["doc_id"] == row["doc_id"]
        (rating,) = _given(trace, "rating")
        assert (rating["score"], rating["metadata"]) == (int(not row["has_error"]), said)
        corrected = [one["correction"] for one in _given(trace, "correction")]
        assert corrected == ([said["summary"]] if said["summary"] else [])


def test_splash(product: Product, wire: Wire, folder: Path, tmp_path: Path) -> None:
    """Every parse with the words on it, and the right parse as its correction."""
    file = folder / "splash" / "data" / "editsql.json"
    rows = json.loads(file.read_text("utf-8"))
    total = _import(product, wire, "splash", [file])
    assert total == {"stored": 537, "traces": 179, "feedback": 358, "rows": 179}
    kept = {
        (trace["query"], trace["output"], _given(trace, "comment")[0]["comment"]): trace
        for trace in _export(product, wire, tmp_path / "t.jsonl", "splash")
    }
    for row in rows:
        trace = kept[row["question"], row["predicted_parse"], row["feedback"]]
        assert _given(trace, "correction")[0]["correction"] == row["gold_parse"]
        assert trace["metadata"] == {
            "db_id": row["db_id"], "explanation": row["predicted_parse_explanation"],
        }  # fmt: skip


def test_hh_rlhf(product: Product, wire: Wire, folder: Path, tmp_path: Path) -> None:
    """Every rejected conversation reads as before, turn by turn; the chosen answer corrects it."""
    file = folder / "hh_rlhf" / "harmless-base" / "test.jsonl.gz"
    total = _import(product, wire, "hh_rlhf", [file])
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert total["rows"] == len(rows) == 2_312
    sessions: dict[str, list[Record]] = {}
    for trace in _export(product, wire, tmp_path / "t.jsonl", "hh-rlhf"):
        sessions.setdefault(trace["session_id"], []).append(trace)
    pairs = Counter(
        _pair(sorted(turns, key=lambda one: one["turn"])) for turns in sessions.values()
    )
    assert pairs == Counter((row["rejected"], row["chosen"]) for row in rows)


def _pair(turns: list[Record]) -> tuple[str, str]:
    """Put a session together again, and its correction in the place of the last answer."""
    spoken = [f"\n\nHuman: {one['query']}" for one in turns]
    answers = [f"\n\nAssistant: {one['output']}" if "output" in one else "" for one in turns]
    rejected = "".join(part for turn in zip(spoken, answers, strict=True) for part in turn)
    (rating,) = _given(turns[-1], "rating")
    chosen: str = rating["metadata"]["chosen"]
    for correction in _given(turns[-1], "correction"):
        better = f"{spoken[-1]}\n\nAssistant: {correction['correction']}"
        assert chosen.endswith(better)
    return rejected, chosen
