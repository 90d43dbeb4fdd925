"""Read rows from files that strangers wrote: JSON lines, a JSON array, CSV or Parquet.

Rows come one by one, so that a file of any size needs the memory of its largest row. A row that
cannot be read says so and its neighbours still come; a file that cannot be read raises Invalid.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

from teachback.capture import json
from teachback.errors import Invalid, SetupError, TeachbackError
from teachback.model.trace import Json

#: Largest row: a request takes 10 MiB, and a row may become several records.
MAX_ROW_BYTES = 8 * 1024 * 1024
_CHUNK = 256 * 1024
_BOM = b"\xef\xbb\xbf"
#: Byte order marks of encodings that are not UTF-8.
_FOREIGN_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PARQUET_ROWS = 256

Members = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, or why it cannot be read."""

    #: The line in a file of lines, else the position of the row, from 1.
    number: int
    members: Members | None = None
    error: Invalid | None = None


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file by its name and its first bytes, packed with gzip or not; raises Invalid."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".parquet", ".pq")):
        yield from _parquet(path)
        return
    try:
        with _opened(path) as file:
            if name.endswith((".csv", ".tsv")):
                yield from _csv(file)
            else:
                yield from _json(file)
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(
            "file", value=path.name, rule=f"it cannot be read to its end ({error})",
            fix="See whether it is there, whole, and packed with gzip if its bytes say so",
        ) from error  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    with path.open("rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        content = io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=file))) if packed else file
        start = content.peek(3)[:3]
        if start.startswith(_FOREIGN_MARKS):
            raise Invalid(
                "file", value=path.name, rule="its first bytes say UTF-16", fix="Save it as UTF-8"
            )
        if start == _BOM:
            content.read(len(_BOM))
        yield content


def _json(file: io.BufferedReader) -> Iterator[Row]:
    start = file.peek(_CHUNK).lstrip()[:1]
    if start == b"[":
        yield from _array(file)
    else:
        yield from _lines(file)


def _lines(file: IO[bytes]) -> Iterator[Row]:
    number = 0
    while line := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(_CHUNK)
            yield Row(number, error=_too_large())
        elif line.strip():
            yield _row(number, line)


def _array(file: IO[bytes]) -> Iterator[Row]:
    for number, element in enumerate(_elements(file), 1):
        yield _row(number, element)


_QUOTED = re.compile(rb'["\\]')
_MARKS = re.compile(rb'["\[\]{},]')


def _elements(file: IO[bytes]) -> Iterator[bytes]:
    """Cut a JSON array into its elements without decoding them."""
    element = bytearray()
    closers = bytearray()
    begun = False
    quoted = escaped = False
    while chunk := file.read(_CHUNK):
        begin, position, escaped = 0, int(escaped), False
        while match := (_QUOTED if quoted else _MARKS).search(chunk, position):
            position = match.end()
            mark = match[0]
            if mark == b"\\":
                position += 1
            elif mark == b'"':
                quoted = not quoted
            elif mark in b"[{":
                closers += b"]" if mark == b"[" else b"}"
                begin = position if len(closers) == 1 else begin
            else:
                if mark != b",":
                    _check_closer(closers, mark)
                    closers.pop()
                if not closers or (len(closers) == 1 and mark == b","):
                    element += chunk[begin : position - 1]
                    # Behind a comma something must stand: JSON has no trailing ones.
                    if element.strip() or begun or mark == b",":
                        yield bytes(element)
                    begun = True
                    element.clear()
                    begin = position
                if not closers:
                    _check_end(chunk[begin:] + file.read(_CHUNK))
                    return
        escaped = position > len(chunk)
        element += chunk[begin:]
        if len(element) > MAX_ROW_BYTES:
            raise _too_large()
    raise Invalid("file", rule="its list has no end", fix="Get the file anew: it is cut off")


def _check_closer(closers: bytearray, mark: bytes) -> None:
    if closers[-1:] != mark:
        raise Invalid(
            "file",
            rule=f"a bracket is closed by {mark.decode()} where {closers[-1:].decode()} belongs",
            fix="Write the list anew with a JSON library",
        )


def _check_end(rest: bytes) -> None:
    if rest.strip():
        raise Invalid(
            "file", rule="something follows the list", fix="Write one list, or one object a line"
        )


_FIX = "Write each row as one JSON object in UTF-8, escaped characters in whole pairs"


def _row(number: int, raw: bytes) -> Row:
    try:
        _check_text(raw)
        members = json.loads(raw.strip(), "row", fix=_FIX)
        if not isinstance(members, dict):
            raise Invalid("row", rule="a row is a JSON object", fix='Write {"name": value, …}')
    except Invalid as error:
        return Row(number, error=error)
    return Row(number, cast(Members, members))


def _check_text(raw: bytes) -> None:
    if b"\0" in raw:
        raise Invalid("row", rule="it holds a NUL byte", fix="Is this a text file in UTF-8?")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            "row", rule=f"byte {error.start + 1} of it is not UTF-8", fix="Save the file as UTF-8"
        ) from error


def _too_large() -> Invalid:
    size = MAX_ROW_BYTES // 1024**2
    return Invalid("row", rule=f"a row has at most {size} MiB", fix="Split or shorten it")


def _csv(file: IO[bytes]) -> Iterator[Row]:
    csv.field_size_limit(MAX_ROW_BYTES)
    lines = _text_lines(file)
    head = next(lines, "")
    reader = csv.reader(_chain(head, lines), delimiter=_delimiter(head), strict=True)
    try:
        names = next(reader, [])
        _check_names(names)
        begin = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _record(begin, names, cells)
            begin = reader.line_num + 1
    except csv.Error as error:
        reason = "its lines end in CR alone" if "new-line" in str(error) else str(error)
        raise Invalid(
            f"line {reader.line_num}", rule=f"this is not CSV ({reason})",
            fix='End lines in LF or CR LF; put cells with commas, quotes or line ends into "…" and '
            "double quotes in them",
        ) from error  # fmt: skip


def _chain(head: str, lines: Iterator[str]) -> Iterator[str]:
    yield head
    yield from lines


def _text_lines(file: IO[bytes]) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        try:
            if len(line) > MAX_ROW_BYTES:
                raise _too_large()
            _check_text(line)
        except Invalid as error:
            raise Invalid(f"line {number}", rule=error.rule, fix=error.fix) from error
        yield line.decode()


def _delimiter(head: str) -> str:
    return max(",;\t", key=head.count)


def _check_names(names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if not names or twice or "" in names:
        raise Invalid(
            "line 1", value=min(twice) if twice else None,
            rule="the first line of a CSV file names each column, once",
            fix="Name the columns there",
        )  # fmt: skip


def _record(number: int, names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        error = Invalid(
            "row", rule=f"it has {len(cells)} cells, and the first line names {len(names)}",
            fix="Write a cell for each column",
        )  # fmt: skip
        return Row(number, error=error)
    return Row(number, {name: cell or None for name, cell in zip(names, cells, strict=True)})


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SetupError(MISSING_PARQUET) from error
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for members in batch.to_pylist():
                    number += 1
                    yield _columns(number, members)
    except (pa.ArrowException, OSError) as error:
        raise Invalid(
            "file", value=path.name, rule="it cannot be read as Parquet to its end",
            fix="Write it anew, or as JSON lines",
        ) from error  # fmt: skip


MISSING_PARQUET = "Parquet needs pyarrow: pip install 'teachback[parquet]'"


def _columns(number: int, members: dict[str, Any]) -> Row:
    try:
        return Row(number, {name: _plain(name, value) for name, value in members.items()})
    except TeachbackError as error:
        return Row(number, error=cast(Invalid, error))


def _plain(name: str, value: Any) -> Json:
    """Return a value of Parquet as JSON would say it."""
    if isinstance(value, dict):
        return {str(key): _plain(name, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(name, inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise Invalid(
        name, rule=f"a column of {type(value).__name__} has no place in a record",
        fix="Store it as text or numbers",
    )  # fmt: skip
