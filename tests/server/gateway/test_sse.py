"""Events are cut where they end, and nowhere else, whatever the pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachback.server.gateway.sse import MAX_EVENT_BYTES, Events, data_of

STREAMS = [
    b'data: {"a": "\xc3\xa9\xe2\x80\x94"}\n\ndata: [DONE]\n\n',
    b": comment\r\n\r\ndata: 1\r\ndata: 2\r\n\r\nevent: x\r\ndata: 3\r\n\r\n",
    b"data: 1\r\rdata: 2\r\r",
    b"\xef\xbb\xbfdata:1\n\nid: 7\nretry: 5\ndata\n\n\n\ndata: {}\n\n",
    b"data: 1\n\r\ndata: 2\r\n\ndata: 3\n\n",
]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Feed a stream in pieces; return the data of its events, and check that no byte is lost."""
    events = Events()
    bounds = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    passed: list[bytes] = []
    for start, end in pairwise(bounds):
        passed += events.feed(stream[start:end])
    passed.append(events.rest())
    assert b"".join(passed) == stream
    return [data for event in passed if (data := data_of(event))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 200), max_size=20))
def test_events_are_the_same_wherever_the_stream_is_cut(stream: bytes, places: list[int]) -> None:
    """Known streams with all line ends, comments, marks and lines of data."""
    assert cut(stream, places) == cut(stream, [])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"data: x", b"\n", b"\r", b"\r\n", b": c", b"data", b"\xff"])),
    st.lists(st.integers(0, 200), max_size=20),
)
def test_no_byte_is_lost_of_any_stream(parts: list[bytes], places: list[int]) -> None:
    """Whatever comes goes on."""
    cut(b"".join(parts), places)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_byte_may_be_a_piece_of_its_own(stream: bytes) -> None:
    """The worst cut of all."""
    assert cut(stream, list(range(len(stream)))) == cut(stream, [])


def test_data_is_what_its_lines_say() -> None:
    """One line, several, none, and with or without a blank."""
    assert data_of(b"data: a\n\n") == b"a"
    assert data_of(b"event: e\r\ndata:a\r\ndata: b\r\n\r\n") == b"a\nb"
    assert data_of(b": ping\n\n") == b""


def test_memory_is_bounded_when_an_event_never_ends() -> None:
    """It passes in pieces."""
    events = Events()
    passed = b"".join(piece for _ in range(40) for piece in events.feed(b"data: " + b"x" * 100_000))
    assert len(passed) > 2 * MAX_EVENT_BYTES
    assert len(events.rest()) <= MAX_EVENT_BYTES + 100_006
