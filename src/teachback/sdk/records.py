"""From what the application said to the bytes that are sent: rendered, encoded, scrubbed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from teachback.sdk import render
from teachback.sdk.frames import Record, RecordKind
from teachback.sdk.scrub import scrub

_ENCODER = msgspec.json.Encoder()


def encoded(kind: RecordKind, fields: Mapping[str, object]) -> Record:
    """Return the fields as a record; raises whatever cannot be encoded even after rendering."""
    try:
        payload = _ENCODER.encode(fields)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        # Lone surrogates, huge integers, foreign types: the slow way takes everything.
        payload = _ENCODER.encode(render.as_json(fields))
    return Record(kind, scrub(payload))
