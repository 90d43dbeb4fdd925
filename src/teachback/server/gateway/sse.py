"""Server-sent events, cut out of a stream whose bytes stay as they are.

The format is that of the HTML standard, section 9.2: an event ends with an empty line, and lines
end with LF, CR LF or CR.
"""

from __future__ import annotations

import re

#: A longer event is passed on in pieces, unread.
MAX_EVENT_BYTES = 1024 * 1024
_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"


class Events:
    """Cuts what comes in pieces of any size at the ends of events."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that are complete now, each with the empty line that ends it."""
        if not self._rest and _is_one(data):
            return [data]
        # The end of an event may have come in two pieces: look again at the last bytes.
        look_at = max(0, len(self._rest) - 3)
        self._rest += data
        events: list[bytes] = []
        start = 0
        for end in _END.finditer(self._rest, look_at):
            events.append(bytes(self._rest[start : end.end()]))
            start = end.end()
        del self._rest[:start]
        if len(self._rest) > MAX_EVENT_BYTES:
            events.append(self.rest())
        return events

    def rest(self) -> bytes:
        """Take the bytes of an event that has not ended."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def _is_one(data: bytes) -> bool:
    """Recognise the usual piece: one whole event with plain line ends."""
    return data.endswith(b"\n\n") and b"\r" not in data and data.find(b"\n\n") == len(data) - 2


def data_of(event: bytes) -> bytes:
    """Return the data of an event, b"" when it has none."""
    if event.startswith(b"data: ") and b"\r" not in event and event.find(b"\n") >= len(event) - 2:
        return event[6:].rstrip(b"\n")
    lines = _LINE_END.split(event.removeprefix(_MARK))
    parts = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(parts)
