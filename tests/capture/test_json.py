"""JSON written by strangers is read exactly, or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachback.capture.json import loads, sanitize, split_list, split_object
from teachback.errors import Invalid

numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_any_value_is_read_exactly(value: object, indent: int | None, ascii_only: bool) -> None:
    """However it is written: compact or spaced, escaped or not, with numbers of any length."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
    raw, replaced = sanitize(text.encode("utf-8", "surrogatepass"))
    if not replaced:
        assert loads(raw) == value
        assert repr(loads(raw)) == repr(value)


@given(st.text(), st.booleans())
def test_sanitized_text_holds_nothing_that_postgres_refuses(text: str, ascii_only: bool) -> None:
    """U+0000 and lone surrogates become U+FFFD, all else stays."""
    raw, replaced = sanitize(
        json.dumps({"a": text}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    )
    expected = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
    found = loads(raw)
    assert isinstance(found, dict)
    # Raw bytes of a surrogate are three invalid bytes, each replaced by itself.
    assert found["a"].replace("\ufffd\ufffd\ufffd", "\ufffd") == expected.replace(
        "\ufffd\ufffd\ufffd", "\ufffd"
    )
    assert replaced == (expected != text)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a":1,"a":2}', "only once"),
        (b'{"x":{"a":1,"b":2,"a" :3}}', "only once"),
        (b'{"a":NaN}', "not the JSON"),
        (b'{"a":-Infinity}', "not the JSON"),
        (b'{"a":1e400}', "not the JSON"),
        (b"[" * 101 + b"]" * 101, "levels deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "levels deep"),
        (b"", "not the JSON"),
        (b'{"a":"\x00"}', "not the JSON"),
    ],
)
def test_what_some_layer_would_change_is_refused(raw: bytes, says: str) -> None:
    """Duplicate keys, constants, overflow and deep nesting are errors, never silent changes."""
    with pytest.raises(Invalid, match=says):
        loads(raw)


def test_brackets_in_texts_are_no_nesting() -> None:
    """Depth counts structure, not characters."""
    raw = json.dumps({"a": "[" * 500 + '"' + "{" * 500}).encode()
    assert loads(raw) == {"a": "[" * 500 + '"' + "{" * 500}


def test_parts_are_cut_out_without_decoding_them() -> None:
    """An object's members and a list's elements are bytes as they stood."""
    members = split_object(b'{"data": [ {"a": 1.0}, "x" ], "n": 1e3}')
    assert members == {"data": b'[ {"a": 1.0}, "x" ]', "n": b"1e3"}
    assert split_list("data", members["data"]) == [b'{"a": 1.0}', b'"x"']


def test_repeated_member_is_noticed_before_it_vanishes() -> None:
    """Two lists under one name would lose one of them."""
    with pytest.raises(Invalid, match="only once"):
        split_object(b'{"data":[1],"data":[2]}')
