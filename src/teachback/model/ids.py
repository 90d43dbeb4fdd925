"""Ids: text, made by us as UUIDv7 so that they sort by time (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import time
import uuid

#: Longest id in bytes of UTF-8: well below what a B-tree row can hold (2,704).
MAX_ID_BYTES = 256


def new_id(at: float | None = None) -> str:
    """Return a new UUIDv7 as text; `at` is a Unix time in seconds, now when absent."""
    milliseconds = int((time.time() if at is None else at) * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
