"""Write records as JSON lines, as CSV that no spreadsheet runs, or as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, Literal, Protocol, cast

import msgspec

from teachback.capture import exported
from teachback.capture.mapping import Object
from teachback.capture.rows import MISSING_PARQUET
from teachback.errors import SetupError

Format = Literal["jsonl", "csv", "parquet"]
Records = list[dict[str, Any]]


class Table(Protocol):
    """Takes records as the API shows them, a page at a time."""

    def write(self, records: Records) -> None: ...


@contextmanager
def writing(form: Format, kind: Object, file: IO[bytes]) -> Iterator[Table]:
    """Write a table to an open file, which stays open."""
    if form == "parquet":
        with _parquet(kind, file) as table:
            yield table
    elif form == "csv":
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        yield _Csv(kind, text)
        text.detach()
    else:
        yield _Lines(kind, file)


class _Lines:
    def __init__(self, kind: Object, file: IO[bytes]) -> None:
        self._kind = kind
        self._file = file

    def write(self, records: Records) -> None:
        for record in records:
            self._file.write(msgspec.json.encode({"object": self._kind} | record) + b"\n")


class _Csv:
    def __init__(self, kind: Object, file: IO[str]) -> None:
        self._kind = kind
        self._rows = csv.DictWriter(file, list(exported.columns(kind)), lineterminator="\r\n")
        self._rows.writeheader()

    def write(self, records: Records) -> None:
        for record in records:
            cells = exported.to_cells(self._kind, record)
            self._rows.writerow({name: exported.guard(value) for name, value in cells.items()})


class _Parquet:
    def __init__(self, kind: Object, schema: Any, writer: Any) -> None:
        self._kind = kind
        self._schema = schema
        self._writer = writer

    def write(self, records: Records) -> None:
        if records:
            rows = [_cells(self._kind, record) for record in records]
            batch = _pyarrow()[0].RecordBatch.from_pylist(rows, schema=self._schema)
            self._writer.write_batch(batch)


def _cells(kind: Object, record: dict[str, Any]) -> dict[str, Any]:
    cells = exported.to_cells(kind, record)
    for name, holds in exported.columns(kind).items():
        if holds == exported.TIME and name in cells:
            cells[name] = datetime.fromisoformat(cast(str, cells[name]))
    return cells


@contextmanager
def _parquet(kind: Object, file: IO[bytes]) -> Iterator[Table]:
    pa, pq = _pyarrow()
    types = {
        exported.TEXT: pa.string(), exported.NESTED: pa.string(), exported.NUMBER: pa.float64(),
        exported.COUNT: pa.int64(), exported.TRUTH: pa.bool_(),
        exported.TIME: pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema([(name, types[holds]) for name, holds in exported.columns(kind).items()])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield _Parquet(kind, schema, writer)


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SetupError(MISSING_PARQUET) from error
    return pa, pq
