"""What is exported from one installation is the same after an import into another."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from support.commands import teachback
from support.running import own_product, product, wire
from support.wire import Wire
from teachback.bench.product import Product
from teachback.transfer.api import Api

__all__ = ["own_product", "product", "wire"]

Record = dict[str, Any]
AT = "2026-03-01T09:00:00+00:00"
#: What a spreadsheet would run, and what looks guarded already.
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "''-", "'quoted'", 'plain, "x"\n']


def _traces() -> list[Record]:
    whole: Record = {
        "id": "whole", "query": "Where is it? é🙂", "output": "=cmd|' /C calc'!A0", "turn": 2,
        "context": [{"kind": "document", "name": "d", "content": "text", "score": 0.5}],
        "spans": [{"id": "s", "name": "step", "input": "in", "started_at": AT}],
        "session_id": "c", "latency_ms": 12.5, "input_tokens": 3, "cost_usd": 0.001,
        "tags": ["a", "b"], "metadata": {"n": 1, "deep": [{"x": None}]}, "user_id": "@p",
    }  # fmt: skip
    plain: list[Record] = [{"id": f"f{n}", "query": text} for n, text in enumerate(FORMULAS)]
    return [one | {"started_at": AT} for one in (whole, *plain)]


def _feedback() -> list[Record]:
    selector = {"exact": "cmd", "start": 1, "end": 4}
    kinds: list[Record] = [
        {"kind": "rating", "score": 2, "scale": "stars", "label": "Bad"},
        {"kind": "reasons", "labels": ["incorrect"]},
        {"kind": "comment", "comment": "-no, wrong", "source": "reviewer", "confidence": 0.5},
        {"kind": "correction", "correction": "Here.\r\nAnd there."},
        {"kind": "annotation", "comment": "this", "selector": selector, "identifier": "1"},
        {"kind": "implicit", "name": "dwell", "score": 12.25, "metadata": {"a": [1]}},
        {"kind": "comment", "comment": "taken back", "author": "b", "withdrawn": True},
        {"kind": "comment", "session_id": "c", "comment": "on the whole"},
    ]
    return [
        {"id": one["kind"] + str(n), "author": "a", "occurred_at": AT}
        | ({} if "session_id" in one else {"trace_id": "whole"})
        | one
        for n, one in enumerate(kinds)
    ]


@pytest.fixture(scope="module")
def filled(product: Product, wire: Wire) -> Product:
    labels = [one["label"] for one in wire.get("/v1/projects/current").json["reasons"]]
    feedback = [
        one | ({"labels": labels[:1]} if one["kind"] == "reasons" else {}) for one in _feedback()
    ]
    answer = wire.post("/v1/batch", {"traces": _traces(), "feedback": feedback})
    assert answer.status == 200, answer.body
    return product


def _export(product: Product, kind: str, target: Path) -> None:
    done = teachback("export", "--kind", kind, "-o", target, url=product.url, key=product.key())
    assert done.returncode == 0, done.stderr


def _import(product: Product, file: Path, *more: str) -> Record:
    done = teachback("import", file, "--json", *more, url=product.url, key=product.key())
    assert done.returncode == 0, done.stdout + done.stderr
    report: Record = json.loads(done.stdout)
    return report


def _kept(product: Product, kind: str, folder: Path) -> list[Record]:
    target = folder / f"{kind}.jsonl"
    _export(product, kind, target)
    found = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    return [{name: one[name] for name in one if name != "received_at"} for one in found]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_all_kinds_move_to_another_installation(
    filled: Product, own_product: Product, tmp_path: Path, form: str
) -> None:
    """Both tables go out and in again in each format, nothing changed; a repeat stores nothing."""
    for kind, count in (("traces", 1 + len(FORMULAS)), ("feedback", 8)):
        file = tmp_path / f"moved-{kind}.{form}"
        _export(filled, kind, file)
        assert _import(own_product, file)["stored"] == count
        again = _import(own_product, file)
        assert (again["stored"], again["duplicates"]) == (0, count)
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir(exist_ok=True)
        there.mkdir(exist_ok=True)
        assert _kept(filled, kind, here) == _kept(own_product, kind, there)


def test_csv_holds_no_formula(filled: Product, tmp_path: Path) -> None:
    """No cell begins as a formula does, of whatever a person said."""
    for kind in ("traces", "feedback"):
        target = tmp_path / f"{kind}.csv"
        _export(filled, kind, target)
        with target.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\0"))] == []
        assert any(cell.startswith(("'=", "'-")) for cell in cells)


def test_an_export_is_narrowed_and_goes_to_standard_output(filled: Product) -> None:
    """The filter language and times leave what was asked for."""
    words = ("export", "-o", "-", "--where", "kind:correction", "--since", "2026-01-01")
    done = teachback(*words, url=filled.url, key=filled.key())
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["correction"]
    late = teachback(*words, "--until", "2026-02-01", url=filled.url, key=filled.key())
    assert (late.returncode, late.stdout) == (0, "")


def test_an_export_holds_every_judgement_once_in_one_pass(
    filled: Product, wire: Wire, tmp_path: Path
) -> None:
    """Those in force and those taken back come in one order, so none is missed between two."""
    kept = _kept(filled, "feedback", tmp_path)
    times = [(one["occurred_at"], one["id"]) for one in kept]
    assert times == sorted(times)
    withdrawn = {one["id"] for one in kept if one["withdrawn"]}
    assert (len(kept), len({one["id"] for one in kept})) == (8, 8)
    for state, ids in (("true", withdrawn), ("false", {one["id"] for one in kept} - withdrawn)):
        listed = wire.get(f"/v1/feedback?withdrawn={state}").json["data"]
        assert {one["id"] for one in listed} == ids
    refused = wire.get("/v1/feedback?withdrawn=perhaps")
    assert (refused.status, refused.error["field"]) == (400, "withdrawn")


def test_a_judgement_changed_during_an_export_is_there_in_its_last_state(
    own_product: Product,
) -> None:
    """One taken back while pages are read moves to the end: never missed, the last line counts."""
    wire = Wire(own_product.port, own_product.key())
    wire.post("/v1/traces", {"id": "t", "query": "?", "started_at": AT})
    given = [
        {"id": f"f{n}", "kind": "comment", "comment": "no", "trace_id": "t", "author": f"a{n}",
         "occurred_at": AT}
        for n in range(450)
    ]  # fmt: skip
    wire.post("/v1/feedback", {"data": given})
    with Api(own_product.url, own_product.key()) as api:
        found: list[Record] = []
        for page in api.pages("/v1/feedback", {"sort": "oldest", "withdrawn": "any"}):
            if not found:  # one that was read already, and one that was not
                for one in ("f0", "f99"):
                    wire.post(f"/v1/feedback/{one}/withdraw", {})
            found += page
    last = {one["author"]: one["withdrawn"] for one in found}
    assert (len(last), {author for author in last if last[author]}) == (450, {"a0", "a99"})
    assert len(found) == 451


def test_an_export_that_fails_leaves_the_old_file(filled: Product, tmp_path: Path) -> None:
    """What was there stays until all of the new is written."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    done = teachback("export", "-o", target, "--where", "nonsense:1", url=filled.url,
                     key=filled.key())  # fmt: skip
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    strange = teachback("export", "-o", target, url=filled.url, key="tb_sk_none_none")
    assert (strange.returncode, target.read_text()) == (1, "old")


def test_nothing_is_sent_while_a_row_cannot_be_mapped(filled: Product, tmp_path: Path) -> None:
    """Each bad row is told with line, value, rule and fix; --skip leaves it out."""
    file = tmp_path / "a.jsonl"
    file.write_text('{"q": "one", "stars": 3}\nnot json\n{"q": "two", "stars": 9}\n')
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        "[[trace]]\nid = '{@key}'\nquery = '{q}'\n[[feedback]]\nid = '{@key}-r'\n"
        "trace_id = '{@key}'\nkind = 'rating'\nscale = 'stars'\nscore = '{stars}'\n"
    )
    at = {"url": filled.url, "key": filled.key()}
    done = teachback("import", file, "--mapping", mapping, **at)
    assert done.returncode == 1
    assert "row 2: " in done.stderr
    assert "row 3: score is 9.0: a rating on the scale 'stars' is 1, 2, 3, 4 or 5" in done.stderr
    assert "nothing was sent" in done.stderr
    assert _import(filled, file, "--mapping", str(mapping), "--check", "--skip")["stored"] == 0
    report = _import(filled, file, "--mapping", str(mapping), "--skip")
    assert (report["stored"], report["problems"]["count"]) == (2, 2)
    onwards = _import(filled, file, "--mapping", str(mapping), "--skip", "--from-row", "2")
    assert (onwards["stored"], onwards["duplicates"]) == (0, 0)


def test_a_server_that_is_not_said_is_a_matter_of_set_up(tmp_path: Path) -> None:
    """No traceback without an address, and none with nonsense for one."""
    for url in ("", "ftp://x", "nonsense"):
        done = teachback("export", "-o", tmp_path / "x.jsonl", url=url, key="k")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), (url, done.stderr)
