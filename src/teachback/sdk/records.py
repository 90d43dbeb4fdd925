"""From what the application said to the bytes that are sent: rendered, encoded, scrubbed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from teachback.sdk import render
from teachback.sdk.frames import Record, RecordKind
from teachback.sdk.scrub import scrub

_ENCODER = msgspec.json.Encoder()


def encoded(kind: RecordKind, fields: Mapping[str, object]) -> Record:
    """Return a record of the fields that say something; an absent field is shorter than a null.

    Raises whatever cannot be encoded even after rendering.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    try:
        payload = _ENCODER.encode(present)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        # Lone surrogates, huge integers, foreign types: the slow way takes everything.
        payload = _ENCODER.encode(render.as_json(present))
    return Record(kind, scrub(payload))
