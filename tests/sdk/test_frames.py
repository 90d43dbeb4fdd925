"""Spool files that were cut, flipped, emptied or written by others (row R10)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sdk.conftest import KEY, MakeClient
from sdk.stub import Stub
from teachback.sdk import frames, spool
from teachback.sdk.frames import Record
from teachback.sdk.losses import Losses
from teachback.sdk.queue import Queue

MAX_BYTES = 1 << 20
RECORDS = [Record("trace", b'{"id":"t-%d","query":"how \xc3\xa9"}' % n) for n in range(6)]
FRAME = len(frames.frame(RECORDS[0]))
HEADER = frames.FILE_HEADER_BYTES

Damage = Callable[[bytes], bytes]


def cut(at: int) -> Damage:
    return lambda data: data[:at]


def flip(at: int, bit: int = 3) -> Damage:
    return lambda data: data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def third(offset: int) -> int:
    """An offset inside the third frame: 0 mark, 4 length, 8 checksum, 12 kind, 13 payload."""
    return HEADER + 2 * FRAME + offset


def swap(start: int, end: int, new: bytes) -> Damage:
    return lambda data: data[:start] + new + data[end:]


NOISE = random.Random(1).randbytes(500)

#: name → (what happens to the file, records that survive, losses counted)
CASES: dict[str, tuple[Damage, list[int], int]] = {
    "untouched": (cut(10**9), [0, 1, 2, 3, 4, 5], 0),
    "empty file": (cut(0), [], 0),
    "header cut": (cut(5), [], 0),
    "header only": (cut(HEADER), [], 0),
    "tail cut in the payload": (cut(third(20)), [0, 1], 1),
    "tail cut in the frame header": (cut(third(6)), [0, 1], 1),
    "tail cut in the mark": (cut(third(2)), [0, 1], 1),
    "tail cut between frames": (cut(third(0)), [0, 1], 0),
    "bit flipped in the file's magic": (flip(2), [0, 1, 2, 3, 4, 5], 0),
    "bit flipped in the file's version": (flip(7), [0, 1, 2, 3, 4, 5], 0),
    "bit flipped in a mark": (flip(third(0)), [0, 1, 3, 4, 5], 1),
    "bit flipped in a length, longer": (flip(third(5)), [0, 1, 3, 4, 5], 1),
    "bit flipped in a length, shorter": (flip(third(4)), [0, 1, 3, 4, 5], 1),
    "bit flipped in a length, huge": (flip(third(7), 7), [0, 1, 3, 4, 5], 1),
    "bit flipped in a checksum": (flip(third(8)), [0, 1, 3, 4, 5], 1),
    "bit flipped in a kind": (flip(third(12), 1), [0, 1, 3, 4, 5], 1),
    "bit flipped in a payload": (flip(third(20)), [0, 1, 3, 4, 5], 1),
    "noise in the middle": (swap(third(0), third(FRAME), NOISE), [0, 1, 3, 4, 5], 1),
    "zeros at the end": (swap(third(0), third(4 * FRAME), bytes(4096)), [0, 1], 1),
}


def leave_behind(root: Path, damage: Damage) -> None:
    """Make a folder as a process leaves it that was killed, with damage done to its file."""
    written = spool.create(root, max_bytes=MAX_BYTES)
    for record in RECORDS:
        written.append(record)
    written.abandon()
    (file,) = written.folder.glob("*.seg")
    file.write_bytes(damage(file.read_bytes()))


def spool_folder(url: str, root: Path) -> Path:
    """Where clients of this server keep their spools."""
    queue = Queue(root, destination=f"{url} {KEY}", max_bytes=MAX_BYTES, losses=Losses())
    assert queue.folder is not None
    return queue.folder


def recover(root: Path) -> tuple[list[Record], int]:
    """Read what dead processes left, as a starting client does."""
    records: list[Record] = []
    damaged = 0
    for orphan in spool.orphans(root):
        while (batch := orphan.read(max_records=2, max_bytes=MAX_BYTES)) is not None:
            records += batch.records
            damaged += batch.damaged
            orphan.delivered(batch)
        orphan.close()
    return records, damaged


@pytest.mark.parametrize("name", CASES)
def test_intact_records_are_recovered_when_a_file_is_damaged(name: str, tmp_path: Path) -> None:
    """What lies before and after the damage is sent, and the loss is counted."""
    damage, survivors, lost = CASES[name]
    leave_behind(tmp_path, damage)
    assert recover(tmp_path) == ([RECORDS[n] for n in survivors], lost)
    assert list(tmp_path.iterdir()) == []


def test_files_of_another_version_stay_when_found(tmp_path: Path) -> None:
    """A newer version's records are left for the version that can read them."""
    leave_behind(tmp_path, swap(0, HEADER, frames.file_header(version=2)))
    assert recover(tmp_path) == ([], 0)
    assert len(list(tmp_path.glob("*/*.seg"))) == 1


def test_living_process_keeps_its_folder_when_another_starts(tmp_path: Path) -> None:
    """Two processes never read the same folder."""
    living = spool.create(tmp_path, max_bytes=MAX_BYTES)
    living.append(RECORDS[0])
    assert recover(tmp_path) == ([], 0)
    living.close()
    assert recover(tmp_path) == ([RECORDS[0]], 0)


def test_every_cut_is_survived_when_a_write_is_torn(tmp_path: Path) -> None:
    """Wherever a file ends, the whole frames before that point come back."""
    whole = frames.file_header() + b"".join(frames.frame(record) for record in RECORDS)
    for end in range(HEADER, len(whole)):
        found = frames.scan(whole[HEADER:end], last=True, max_records=9, max_bytes=MAX_BYTES)
        complete = (end - HEADER) // FRAME
        assert found.records == RECORDS[:complete]
        assert found.damaged == (0 if (end - HEADER) % FRAME == 0 else 1)


def test_every_flipped_bit_is_survived_when_a_disk_lies() -> None:
    """One wrong bit costs at most the one record that holds it."""
    whole = b"".join(frames.frame(record) for record in RECORDS[:3])
    for at in range(len(whole)):
        for bit in range(8):
            damaged = flip(at, bit)(whole)
            found = frames.scan(damaged, last=True, max_records=9, max_bytes=MAX_BYTES)
            hit = at // FRAME
            assert found.records == [r for n, r in enumerate(RECORDS[:3]) if n != hit]
            assert found.damaged == 1


def test_delivery_goes_on_when_it_was_noted(tmp_path: Path) -> None:
    """What a dead process had delivered is not sent again; a damaged note costs only repeats."""
    written = spool.create(tmp_path, max_bytes=MAX_BYTES)
    for record in RECORDS:
        written.append(record)
    batch = written.read(max_records=4, max_bytes=MAX_BYTES)
    assert batch is not None
    written.delivered(batch)
    written.abandon()
    note = written.folder / "delivered"
    kept = note.read_bytes()
    for data, expected in ((kept[:-1], RECORDS), (b"", RECORDS), (kept, RECORDS[4:])):
        note.write_bytes(data)
        (orphan,) = spool.orphans(tmp_path)
        found = orphan.read(max_records=9, max_bytes=MAX_BYTES)
        assert found is not None
        assert found.records == expected
        orphan.abandon()


def test_losses_are_reported_when_a_damaged_spool_is_adopted(
    make_client: MakeClient, stub: Stub, tmp_path: Path
) -> None:
    """A starting client sends what is intact and tells the server what was not."""
    folder = spool_folder(stub.url, tmp_path / "spool")
    leave_behind(folder, flip(third(20)))
    client = make_client()
    assert client.flush()
    assert stub.wait_for(lambda s: bool(s.reported))
    assert sorted(stub.stored) == ["t-0", "t-1", "t-3", "t-4", "t-5"]
    assert stub.reported == {("corrupt", "unknown"): 1}
    assert client.dropped == {("corrupt", "unknown"): 1}
