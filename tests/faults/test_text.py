"""Text that databases, parsers and templates choke on is stored, mended with a flag, or refused."""

from __future__ import annotations

import json

import pytest

from support.wire import Wire, rating, trace

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("field", ["query", "output", "user_id", "release"])
def test_nul_is_replaced_and_flagged_when_in_text(wire: Wire, field: str) -> None:
    """U+0000, which PostgreSQL refuses, becomes U+FFFD in any text of a trace."""
    sent = trace(**{field: "a\0b"})
    assert wire.post("/v1/traces", sent).status == 201
    kept = wire.trace(sent["id"])
    assert (kept[field], kept["sanitized"]) == (f"a{REPLACEMENT}b", True)


def test_nul_is_replaced_when_in_keys_and_values_of_metadata(wire: Wire) -> None:
    """jsonb refuses U+0000 too, in keys and at any depth."""
    sent = trace(metadata={"k\0": {"deep": ["\0"]}})
    assert wire.post("/v1/traces", sent).status == 201
    assert wire.trace(sent["id"])["metadata"] == {f"k{REPLACEMENT}": {"deep": [REPLACEMENT]}}


def test_nul_is_replaced_when_in_an_id(wire: Wire) -> None:
    """The mended id is the one to ask for."""
    unique = trace()["id"]
    answer = wire.post("/v1/traces", trace(id=f"{unique}\0"))
    assert answer.status == 201
    assert answer.json["id"] == f"{unique}{REPLACEMENT}"
    assert wire.trace(answer.json["id"])["sanitized"] is True


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00", r"\ud83d", r"\udfff\ud800"])
def test_lone_surrogates_are_replaced_when_escaped(wire: Wire, text: str) -> None:
    """Half a character, as JavaScript cuts it, does not spoil the record."""
    made = trace()["id"]
    body = f'{{"id":"{made}","query":"a{text}b","metadata":{{"{text}":"{text}"}}}}'.encode()
    assert wire.post("/v1/traces", body).status == 201
    kept = wire.trace(made)
    assert kept["query"] == f"a{REPLACEMENT * text.count('u')}b"
    assert kept["sanitized"] is True


def test_pairs_of_surrogates_stay_characters_when_escaped(wire: Wire) -> None:
    """A whole pair is an emoji and is kept."""
    made = trace()["id"]
    body = f'{{"id":"{made}","query":"\\ud83d\\ude00"}}'.encode()
    assert wire.post("/v1/traces", body).status == 201
    kept = wire.trace(made)
    assert (kept["query"], kept["sanitized"]) == ("😀", False)


def test_surrogates_in_raw_bytes_are_replaced_or_refused(wire: Wire) -> None:
    """Bytes that are not UTF-8 (CESU-8, latin-1) never become a server error."""
    for raw in (b"\xed\xa0\x80", b"\xff", b"caf\xe9"):
        made = trace()["id"]
        answer = wire.post("/v1/traces", b'{"id":"%s","query":"%s"}' % (made.encode(), raw))
        assert answer.status in {201, 400}
        if answer.status == 201:
            kept = wire.trace(made)
            assert REPLACEMENT in kept["query"]
            assert kept["sanitized"] is True


def test_text_comes_back_as_sent_when_it_is_strange_but_legal(wire: Wire) -> None:
    """Combining marks, right-to-left marks, control characters and 4-byte characters are text."""
    text = "e\u0301 \u202eabc\u202c \u200d \x01\x1f \x7f \u2028 \U0001f468\u200d\U0001f469 \uffff"
    sent = trace(query=text, output=text, tags=[text[:20]], metadata={text: text})
    assert wire.post("/v1/traces", sent).status == 201
    kept = wire.trace(sent["id"])
    assert [kept["query"], kept["output"], kept["tags"], kept["metadata"]] == [
        text,
        text,
        [text[:20]],
        {text: text},
    ]
    assert kept["sanitized"] is False


@pytest.mark.parametrize("depth", [101, 1_000, 20_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_deep_json_is_refused_when_over_the_limit(wire: Wire, depth: int, pair: str) -> None:
    """Nesting is counted, not recursed: no crash, the same limit on every Python."""
    opening = "[" if pair == "[]" else '{"a":'
    deep = opening * depth + "1" + pair[1] * depth
    body = f'{{"query":"q","metadata":{{"a":{deep}}}}}'.encode()
    answer = wire.post("/v1/traces", body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid"
    assert wire.get("/healthz").status == 200


def test_deep_json_is_kept_when_under_the_limit(wire: Wire) -> None:
    """Ninety levels come back as sent."""
    value: object = "end"
    for _ in range(90):
        value = [value]
    sent = trace(metadata={"deep": value})
    assert wire.post("/v1/traces", sent).status == 201
    assert wire.trace(sent["id"])["metadata"] == {"deep": value}


def test_many_keys_are_kept_or_refused_clearly(wire: Wire) -> None:
    """A hundred thousand members do not take the server down."""
    sent = trace(metadata={f"k{number}": number for number in range(100_000)})
    answer = wire.post("/v1/traces", sent)
    assert answer.status in {201, 400}
    assert wire.get("/healthz").status == 200


@pytest.mark.parametrize(
    "member",
    [
        '"metadata":{"a":1,"a":2}',
        '"query":"q","query":"r"',
        '"metadata":{"n":NaN}',
        '"metadata":{"n":Infinity}',
        '"metadata":{"n":1e400}',
        '"cost_usd":1e400',
        '"input_tokens":9007199254740993000',
        '"input_tokens":"1"',
        '"turn":1.5',
    ],
)
def test_values_that_some_layer_would_change_are_refused(wire: Wire, member: str) -> None:
    """Duplicate keys, NaN, overflow and mixed types are said, not bent."""
    query = "" if member.startswith('"query"') else '"query":"q",'
    answer = wire.post("/v1/traces", f"{{{query}{member}}}".encode())
    assert (answer.status, answer.error["type"]) == (400, "invalid")


def test_integers_beyond_double_precision_come_back_exactly(wire: Wire) -> None:
    """2^53 + 1 and its like are kept to the digit, or refused."""
    numbers = {"a": 2**53 + 1, "b": -(2**63), "c": 2**64, "d": 0.1, "e": 1e-7}
    sent = trace(metadata=numbers)
    answer = wire.post("/v1/traces", sent)
    assert answer.status in {201, 400}
    if answer.status == 201:
        assert wire.trace(sent["id"])["metadata"] == numbers


@pytest.mark.parametrize(
    "key", ["__proto__", "constructor", "__class__", "a.b.c", "{0.__globals__}", "%s", "", "$where"]
)
def test_keys_are_plain_data_whatever_they_spell(wire: Wire, key: str) -> None:
    """Nothing expands, formats or walks into a name that a user chose."""
    sent = trace(metadata={key: {key: "x"}}, output=key or "x", tags=[key or "x"])
    assert wire.post("/v1/traces", sent).status == 201
    kept = wire.trace(sent["id"])
    assert (kept["metadata"], kept["output"]) == ({key: {key: "x"}}, key or "x")


@pytest.mark.parametrize(
    "suffix",
    [
        "/", "..", "/../../etc/passwd", "%2e%2e%2f", "%252e", "\r\nSet-Cookie: a=b", "🦜", "CON",
        "?a=b", "#x", "a b", "+", "\\", "'; drop table trace; --", "é", "e\u0301", ";", "\u202e",
    ],
)  # fmt: skip
def test_ids_are_found_again_whatever_they_hold(wire: Wire, suffix: str) -> None:
    """An id is a word of the client's, never a path, header or statement."""
    sent = trace(id=trace()["id"] + suffix)
    assert wire.post("/v1/traces", sent).json == {"id": sent["id"], "status": "stored"}
    assert wire.trace(sent["id"])["id"] == sent["id"]
    judged = rating(sent["id"], id=sent["id"] + "-f")
    assert wire.post("/v1/feedback", judged).status == 201
    assert wire.feedback(judged["id"])["trace_id"] == sent["id"]


@pytest.mark.parametrize("path", ["/v1/traces/..", "/v1/traces/%2e%2e%2f%2e%2e", "/v1/traces/."])
def test_ids_of_dots_are_not_paths(wire: Wire, path: str) -> None:
    """Walking up from a record ends at not found."""
    assert wire.get(path).status in {400, 404, 405}


@pytest.mark.parametrize("length", [257, 10_000, 1_000_000])
def test_ids_are_refused_when_too_long(wire: Wire, length: int) -> None:
    """The index never meets a row that it cannot hold."""
    answer = wire.post("/v1/traces", trace(id="x" * length))
    assert (answer.status, answer.error["field"]) == (400, "id")
    assert len(answer.body) < 2_000


def test_ids_are_measured_in_bytes_when_not_ascii(wire: Wire) -> None:
    """256 four-byte characters are too long; 64 are not."""
    assert wire.post("/v1/traces", trace(id="🦜" * 65)).status == 400
    assert wire.post("/v1/traces", trace(id="🦜" * 63 + trace()["id"][-4:])).status == 201


@pytest.mark.parametrize("field", ["user_id", "session_id", "role", "release", "request_model"])
def test_words_are_refused_alone_when_too_long(wire: Wire, field: str) -> None:
    """A 10 KB pseudonym or model name is named in the error; its neighbour is stored."""
    good = trace()
    bad = trace(**{field: "x" * 10_000})
    answer = wire.post("/v1/traces", {"data": [bad, good]})
    assert answer.status == 207
    assert [item["status"] for item in answer.json["data"]] == ["rejected", "stored"]
    assert field in json.dumps(answer.json["data"][0]["error"])
