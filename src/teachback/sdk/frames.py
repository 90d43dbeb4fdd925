"""How records lie in a spool file: each in a frame that can be found again after damage.

A file is a 12-byte header and frames. A frame begins with a mark that holds bytes which no UTF-8
text contains, so that a reader who lost the thread finds the next frame by searching for it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

RecordKind = Literal["trace", "feedback", "report"]

VERSION = 1
MARK = b"\xffTB\xfe"
#: Larger records are refused before they are written.
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024

_CODES: dict[RecordKind, int] = {"trace": 1, "feedback": 2, "report": 3}
_KINDS = {code: kind for kind, code in _CODES.items()}
_FRAME = struct.Struct("<4sIIB")
_MAGIC = b"TBSPOOL"
_FILE = struct.Struct("<7sBI")

FILE_HEADER_BYTES = _FILE.size
MAX_FRAME_BYTES = _FRAME.size + MAX_PAYLOAD_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """One encoded record as it lies in the spool."""

    kind: RecordKind
    #: JSON in UTF-8.
    payload: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What a stretch of a spool file holds."""

    records: list[Record]
    #: Where to read on, counted from the start of the stretch.
    end: int
    #: Records that were there once and cannot be read.
    damaged: int


def file_header(version: int = VERSION) -> bytes:
    """Return the first bytes of a spool file."""
    start = _MAGIC + bytes([version])
    return start + struct.pack("<I", zlib.crc32(start))


def is_foreign(header: bytes) -> bool:
    """Tell whether an intact header names another version; a damaged one is taken for ours."""
    if len(header) < _FILE.size:
        return False
    magic, version, checksum = _FILE.unpack_from(header)
    return bool(magic == _MAGIC and version != VERSION and checksum == zlib.crc32(header[:8]))


def frame(record: Record) -> bytes:
    """Return the bytes that put one record in a spool file."""
    payload = record.payload
    code = _CODES[record.kind]
    return _FRAME.pack(MARK, len(payload), zlib.crc32(payload, code), code) + payload


def scan(data: bytes, *, last: bool, max_records: int, max_bytes: int) -> Scan:
    """Return the intact records of `data`; `last` says that nothing follows it in the file."""
    records: list[Record] = []
    at = size = damaged = 0
    while at < len(data) and len(records) < max_records:
        record = _record_at(data, at)
        if record is not None:
            if records and size + len(record.payload) > max_bytes:
                break
            records.append(record)
            size += len(record.payload)
            at += _FRAME.size + len(record.payload)
        elif not last and len(data) - at < MAX_FRAME_BYTES:
            break
        else:
            damaged += 1
            at = _next_mark(data, at + 1)
    return Scan(records=records, end=at, damaged=damaged)


def _record_at(data: bytes, at: int) -> Record | None:
    if len(data) - at < _FRAME.size:
        return None
    mark, length, checksum, code = _FRAME.unpack_from(data, at)
    if mark != MARK or code not in _KINDS or length > MAX_PAYLOAD_BYTES:
        return None
    start = at + _FRAME.size
    payload = data[start : start + length]
    if len(payload) != length or zlib.crc32(payload, code) != checksum:
        return None
    return Record(_KINDS[code], payload)


def _next_mark(data: bytes, start: int) -> int:
    found = data.find(MARK, start)
    return found if found >= 0 else len(data)
