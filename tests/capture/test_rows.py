"""Files by strangers: every row comes or says what is wrong with it; no file is read by half."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from teachback.capture import rows
from teachback.capture.rows import read_rows
from teachback.errors import Invalid


def _write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _members(path: Path) -> list[Any]:
    return [row.members for row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"a": "x", "b": [1]}\n\n{"a": "\xc3\xa9", "b": null}'),
        ("bom.jsonl", b'\xef\xbb\xbf{"a": "x", "b": [1]}\r\n{"a": "\xc3\xa9", "b": null}\r\n'),
        ("a.json", b' \n[{"a": "x", "b": [1]},\n {"a": "\xc3\xa9", "b": null}]\n'),
        (
            "a.json.gz",
            gzip.compress(b'[{"a": "x", "b": [1]}, {"a": "\xc3\xa9", "b": null}]', mtime=0),
        ),
    ],
)
def test_json_comes_row_by_row(tmp_path: Path, name: str, content: bytes) -> None:
    """Lines and lists, with a mark of byte order or packed, are the same rows."""
    expected = [{"a": "x", "b": [1]}, {"a": "é", "b": None}]
    assert _members(_write(tmp_path, name, content)) == expected


def test_a_list_is_cut_where_its_elements_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets, quotes and backslashes inside texts cut nothing, wherever a read ends."""
    given = [{"a": 'x],[{"\\'}, {"a": "\\\\", "b": [[], {}]}, {"a": ""}]
    path = _write(tmp_path, "a.json", json.dumps(given).encode())
    for size in range(1, 30):
        monkeypatch.setattr(rows, "_CHUNK", size)
        assert _members(path) == given
    assert _members(_write(tmp_path, "empty.json", b"[ ]")) == []


def test_a_bad_line_leaves_its_neighbours_whole(tmp_path: Path) -> None:
    """Each bad line is told by its number and rule."""
    lines = [b'{"a": 1}', b'{"a": ', b'{"a": "\xff"}', b'{"a": "\0"}', b"[1]", b'{"a": 1, "a": 2}',
             b'{"a": 1e999}', b"[" * 5000, b'{"a": 2}']  # fmt: skip
    found = list(read_rows(_write(tmp_path, "a.jsonl", b"\n".join(lines))))
    assert [row.members for row in found if row.error is None] == [{"a": 1}, {"a": 2}]
    told = {row.number: row.error.rule for row in found if row.error}
    assert sorted(told) == [2, 3, 4, 5, 6, 7, 8]
    assert "is not UTF-8" in told[3]
    assert "NUL" in told[4]
    assert "object" in told[5]
    assert "once" in told[6]


@pytest.mark.parametrize("content", [b'[{"a": 1},]', b'[{"a": 1}, ,{"a": 1}]', b'[,{"a": 1}]'])
def test_a_comma_too_many_is_a_row_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    """Nothing between commas is told, not passed over; an empty list is empty."""
    found = list(read_rows(_write(tmp_path, "a.json", content)))
    assert [row.members for row in found if row.error is None] == [{"a": 1}] * content.count(b"1")
    assert sum(row.error is not None for row in found) == 1
    assert list(read_rows(_write(tmp_path, "b.json", b" [ ] "))) == []


def test_a_row_that_cannot_be_read_says_how_to_write_it(tmp_path: Path) -> None:
    """The fix is about the file, not about the API."""
    row = next(read_rows(_write(tmp_path, "a.jsonl", b'{"a": "\\ud800"}')))
    assert row.error is not None
    assert "whole pairs" in row.error.fix


def test_a_huge_row_is_refused_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line without end costs no more memory than the largest row allowed."""
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 100_000)
    content = b'{"a": "' + b"x" * 20_000_000 + b'"}\n{"a": 2}\n'
    path = _write(tmp_path, "a.jsonl", content)
    del content
    tracemalloc.start()
    found = list(read_rows(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.error is None for row in found] == [False, True]
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), "UTF-16"),
        ("a.json", b'[{"a": 1}', "no end"),
        ("a.json", b'[{"a": 1}] x', "follows the list"),
        ("a.json", b'[{"a": 1}}', "closed by } where ] belongs"),
        ("a.json", b'[{"a": [1}]', "closed by } where ] belongs"),
        ("a.json.gz", gzip.compress(b'[{"a": 1}]' * 100, mtime=0)[:-9], "to its end"),
        ("a.csv", b"a,a\n1,2\n", "once"),
        ("a.csv", b'a,b\n"x"y,2\n', "not CSV"),
        ("a.csv", b'a,b\n"x,2\n', "not CSV"),
        ("a.csv", b"a,b\n1,\xff\n", "not UTF-8"),
        ("a.csv", b"a,b\n1,\0\n", "NUL"),
        ("a.csv", b"a,b\r1,2\r", "CR alone"),
        ("a.csv", b"", "names each column"),
        ("a.parquet", b"PAR1", "as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, rule: str
) -> None:
    """One clear error for what spoils the whole file."""
    with pytest.raises(Invalid, match=rule):
        list(read_rows(_write(tmp_path, name, content)))


def test_csv_has_names_and_texts(tmp_path: Path) -> None:
    """Quotes, line ends in cells, semicolons and a mark of byte order are understood."""
    content = b'\xef\xbb\xbfa;b\r\n"x;\r\n""y""";\r\n1\r\n2;3\r\n'
    found = list(read_rows(_write(tmp_path, "a.csv", content)))
    assert [(row.number, row.members) for row in found if row.error is None] == [
        (2, {"a": 'x;\r\n"y"', "b": None}), (5, {"a": "2", "b": "3"}),
    ]  # fmt: skip
    assert [row.number for row in found if row.error] == [4]


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """No traceback for a misspelt name."""
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        with pytest.raises(Invalid, match="file is"):
            list(read_rows(tmp_path / name))
