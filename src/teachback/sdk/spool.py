"""The durable spool: one locked folder per process, files of framed records, read in order.

The lock tells the living from the dead: whoever can take a folder's lock may deliver what is in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from teachback.sdk import frames
from teachback.sdk.frames import Record

if sys.platform != "win32":
    import fcntl

#: A file this long is closed and the next begun, so that delivered ones can be deleted.
SEGMENT_BYTES = 4 * 1024 * 1024
#: One read always holds at least one whole frame.
READ_BYTES = frames.MAX_FRAME_BYTES + 1024 * 1024

_POSITION = struct.Struct("<III")


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """How far a folder was delivered."""

    segment: int
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Records to send together, and where reading goes on once they are dealt with."""

    records: list[Record]
    end: Position
    #: Bytes of the spool they take up.
    size: int
    damaged: int


class SpoolFull(OSError):
    """The spool has reached its configured size."""


class Spool:
    """One folder of spool files, held by its lock."""

    def __init__(self, folder: Path, lock: int, *, max_bytes: int, writable: bool) -> None:
        self.folder = folder
        self._lock_fd = lock
        self._max_bytes = max_bytes
        self._segment_bytes = max(frames.FILE_HEADER_BYTES + 1, min(SEGMENT_BYTES, max_bytes // 4))
        self._guard = threading.RLock()
        self._active = -1
        self._number = 0
        self._written = 0
        self._appended = 0
        self._delivered = 0
        self._read_at = _stored_position(folder)
        #: Bytes that an orphan takes; of our own spool, nothing yet.
        self.size = sum(path.stat().st_size for path in folder.glob("*.seg"))
        if writable:
            self._roll()
            self._read_at = Position(self._number, frames.FILE_HEADER_BYTES)

    def append(self, record: Record, *, reserved: int = 0, over_limit: bool = False) -> None:
        """Write one record; it outlives the process from here on.

        Raises SpoolFull at the configured size, of which `reserved` bytes are taken elsewhere;
        OSError when the disk refuses.
        """
        data = frames.frame(record)
        with self._guard:
            waiting = self._appended - self._delivered + reserved
            full = waiting + len(data) > self._max_bytes
            if full and not over_limit:
                raise SpoolFull
            if self._written + len(data) > self._segment_bytes and self._holds_records():
                self._roll()
            self._write(data)
            self._appended += len(data)

    def read(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Return the next records without taking them away; None when all are delivered."""
        while (segment := self._segment_to_read()) is not None:
            size = self._size_of(segment)
            start = self._read_at.offset if segment == self._read_at.segment else 0
            start = max(start, frames.FILE_HEADER_BYTES)
            data = _read_file(self._path(segment), start, min(READ_BYTES, size - start))
            found = frames.scan(
                data, last=start + len(data) >= size, max_records=max_records, max_bytes=max_bytes
            )
            if found.records or found.damaged:
                end = Position(segment, start + found.end)
                return Batch(records=found.records, end=end, size=found.end, damaged=found.damaged)
            if not self._next_segment(segment):
                return None
        return None

    def delivered(self, batch: Batch) -> None:
        """Note that everything up to the batch's end is dealt with, also for a later process."""
        with self._guard:
            self._read_at = batch.end
            self._delivered += batch.size
        position = struct.pack("<II", batch.end.segment, batch.end.offset)
        with contextlib.suppress(OSError):
            _write_file(
                self.folder / "delivered", position + struct.pack("<I", zlib.crc32(position))
            )

    def close(self) -> None:
        """Let the folder go, and delete it when nothing is left in it."""
        with self._guard:
            empty = self._is_empty()
            self._close_active()
            if empty:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._release()

    def abandon(self) -> None:
        """Close the files without a word: after a fork they belong to the parent."""
        self._guard = threading.RLock()
        self._close_active()
        self._release()

    def _release(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._lock_fd)

    def _is_empty(self) -> bool:
        try:
            return self.read(max_records=1, max_bytes=1) is None
        except OSError:
            return False

    def _write(self, data: bytes) -> None:
        try:
            if os.write(self._active, data) != len(data):
                raise OSError("the disk took only a part of the record")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._active, self._written)
            raise
        self._written += len(data)

    def _holds_records(self) -> bool:
        return self._written > frames.FILE_HEADER_BYTES

    def _roll(self) -> None:
        """Begin the next file; the one before stays open until this one works."""
        number = self._number + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        opened = os.open(self._path(number), flags, 0o600)
        try:
            os.write(opened, frames.file_header())
        except OSError:
            os.close(opened)
            self._path(number).unlink(missing_ok=True)
            raise
        self._close_active()
        self._active, self._number, self._written = opened, number, frames.FILE_HEADER_BYTES

    def _close_active(self) -> None:
        if self._active >= 0:
            with contextlib.suppress(OSError):
                os.close(self._active)
            self._active = -1

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.seg"

    def _size_of(self, segment: int) -> int:
        """Return how much of a file may be read: of the one being written, whole frames only."""
        with self._guard:
            if segment == self._number:
                return self._written
        return self._path(segment).stat().st_size

    def _segment_to_read(self) -> int | None:
        numbers = [number for number in _segments(self.folder) if number >= self._read_at.segment]
        return min(numbers, default=None)

    def _next_segment(self, finished: int) -> bool:
        """Delete a file read to its end and go on to the next; False when it is the last one."""
        with self._guard:
            if finished == self._number:
                return False
            self._read_at = Position(finished + 1, frames.FILE_HEADER_BYTES)
        self._path(finished).unlink(missing_ok=True)
        return True


def create(root: Path, *, max_bytes: int) -> Spool:
    """Make and lock a folder for this process under `root`; raises OSError when it cannot."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    # Locked under a hidden name first: a folder in sight without its lock would be adopted.
    hidden = root / f".{name}"
    hidden.mkdir(mode=0o700)
    lock = _lock(hidden)
    if lock is None:
        raise OSError("the spool folder cannot be locked")
    folder = hidden.rename(root / name)
    try:
        return Spool(folder, lock, max_bytes=max_bytes, writable=True)
    except OSError:
        os.close(lock)
        raise


def orphans(root: Path) -> Iterator[Spool]:
    """Yield, locked, each folder that a process left behind and this version can read."""
    try:
        folders = sorted(path for path in root.iterdir() if _may_be_orphan(path))
    except OSError:
        return
    for folder in folders:
        lock = _lock(folder)
        if lock is None:
            continue
        if any(_is_foreign(path) for path in folder.glob("*.seg")):
            os.close(lock)
            continue
        yield Spool(folder, lock, max_bytes=0, writable=False)


def _may_be_orphan(path: Path) -> bool:
    return sys.platform != "win32" and not path.name.startswith(".") and path.is_dir()


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder's lock, or None when a living process does."""
    try:
        opened = os.open(
            folder / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600
        )
    except OSError:
        return None
    if _locked(opened) and folder.is_dir():
        return opened
    os.close(opened)
    return None


def _locked(opened: int) -> bool:
    if sys.platform == "win32":  # no lock there, so no folder is ever adopted either
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _segments(folder: Path) -> list[int]:
    names = (entry.name for entry in os.scandir(folder))
    return [int(name[:-4]) for name in names if name.endswith(".seg") and name[:-4].isdigit()]


def _is_foreign(path: Path) -> bool:
    try:
        return frames.is_foreign(_read_file(path, 0, frames.FILE_HEADER_BYTES))
    except OSError:
        return False


def _stored_position(folder: Path) -> Position:
    """Return what a process noted as delivered; the start when the note is missing or damaged."""
    start = Position(0, frames.FILE_HEADER_BYTES)
    try:
        data = _read_file(folder / "delivered", 0, _POSITION.size)
    except OSError:
        return start
    if len(data) != _POSITION.size or zlib.crc32(data[:8]) != _POSITION.unpack(data)[2]:
        return start
    segment, offset, _ = _POSITION.unpack(data)
    return Position(segment, offset)


def _read_file(path: Path, start: int, length: int) -> bytes:
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return os.pread(opened, max(0, length), start)
    finally:
        os.close(opened)


def _write_file(path: Path, data: bytes) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        os.write(opened, data)
    finally:
        os.close(opened)
