"""Objects no JSON knows, given to every public call (row R13)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdk.conftest import MakeClient
from sdk.stub import Answer, Batch, Stub
from teachback import Client, DeliveryError
from teachback.sdk import render


class Colour(Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    name: str
    price: Decimal


@dataclasses.dataclass
class Point:
    x: int
    label: object = None


class Struct(msgspec.Struct):
    a: int


class Hostile:
    """Fails at whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> float:
        raise RuntimeError


class HostileDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def cycle() -> dict[str, object]:
    made: dict[str, object] = {"name": "cycle"}
    made["self"] = made
    return made


def deep(levels: int = 5000) -> object:
    value: object = "end"
    for _ in range(levels):
        value = [value]
    return value


PLAIN: list[tuple[object, object]] = [
    (None, None),
    (True, True),
    (3, 3),
    (2**70, str(2**70)),
    (1.5, 1.5),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    ("é\u0301👩‍🚀", "é\u0301👩‍🚀"),
    ("a\ud800b", "a???b".replace("???", "\ufffd\ufffd\ufffd")),
    (b"text", "text"),
    (b"\xff\xfe", "<2 bytes>"),
    (Decimal("1.10"), "1.10"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a/b"), "/a/b"),
    (datetime(2025, 3, 1, tzinfo=UTC), "2025-03-01T00:00:00+00:00"),
    (Colour.RED, "red"),
    ({1: (2, 3)}, {"1": [2, 3]}),
    (Point(1, {"y": 2}), {"x": 1, "label": {"y": 2}}),
    (Struct(1), {"a": 1}),
    (Model(name="n", price=Decimal("2.5")), {"name": "n", "price": "2.5"}),
    (ValueError("no"), "ValueError: no"),
    (cycle(), {"name": "cycle", "self": "<builtins.dict>"}),
    (endless(), "<builtins.generator>"),
    (HostileDict(a=1), f"<{__name__}.HostileDict>"),
    (Model, "<pydantic._internal._model_construction.ModelMetaclass>"),
]
STRANGE = [value for value, _ in PLAIN] + [Hostile(), deep(), {"k": Hostile()}, object(), set, len]


@pytest.mark.parametrize(("value", "rendered"), PLAIN, ids=lambda v: type(v).__name__)
def test_object_becomes_json_when_rendered(value: object, rendered: object) -> None:
    """Each kind of object has one plain form."""
    assert render.as_json(value) == rendered


def test_large_values_end_when_rendered() -> None:
    """A huge or deep object is cut, not walked to its end."""
    wide = render.as_json({"a": list(range(10**6))})
    assert isinstance(wide, dict)
    assert len(str(wide)) < 10**6
    assert "list" in json.dumps(render.as_json(deep()))


def test_nothing_is_raised_when_everything_is_strange(make_client: MakeClient, stub: Stub) -> None:
    """Whatever is given to whatever, the application goes on and each record is sent or counted."""
    client = make_client()
    for value in STRANGE:
        use_everywhere(client, value)
    assert client.flush(timeout_s=20)
    assert len(stub.records("trace")) == len(STRANGE)
    lost = client.dropped.get(("unrenderable", "feedback"), 0)
    assert len(stub.records("feedback")) + lost == len(STRANGE) * FEEDBACK_CALLS


#: How often `use_everywhere` gives feedback.
FEEDBACK_CALLS = 9


def use_everywhere(client: Client, value: Any) -> None:
    """Give one object to every public call."""
    with client.trace(value, user_id=value, session_id=value, turn=value, tags=value) as trace:
        trace.system_prompt(value, name=value, version=value)
        trace.document(value, name=value, score=value)
        trace.tool(value)
        trace.message(value, role=value)
        with trace.span(value, kind=value, input=value) as span:
            span.output = span.error = span.metadata = value
        trace.output = trace.error = trace.metadata = trace.cost_usd = value
        trace.request_model = trace.input_tokens = trace.environment = trace.started_at = value
    group = client.feedback(trace.id, author=value, metadata=value, confidence=value)
    group.thumbs_up(comment=value).rating(value, scale=value).reasons(value).comment(value)
    group.correct(value).annotate(value, start=value, tags=value).implicit(value, value)
    group.withdraw(value)
    client.feedback(value, span_id=value, session_id=value, source=value).thumbs_down()
    client.feedback_token(value)


def test_wrong_arguments_are_survived_when_calls_are_misspelt(tb: Client) -> None:
    """A call that Python itself refuses does not reach the application as an error."""
    wrong: Any = tb
    with wrong.trace(querry="q") as trace:
        trace.output = "a"
    wrong.feedback("t", autor="x").thumbs_down(why="no").comment()
    assert wrong.flush(5) is False
    Client(url=5, key=object(), max_spool_bytes="many").trace("q").end()  # type: ignore[arg-type]


def test_callback_may_fail_when_it_is_told(make_client: MakeClient, stub: Stub) -> None:
    """An error callback that raises stops nothing."""
    stub.rule = stub_refuses
    client = make_client(on_error=failing)
    client.trace("q").end()
    assert client.flush()
    client.trace("q").end()
    assert client.flush()


def stub_refuses(batch: Batch) -> Answer:
    return Answer(400) if batch["traces"] else Answer(200)


def failing(_: DeliveryError) -> None:
    raise RuntimeError


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_any_value_can_be_encoded_when_rendered(value: object) -> None:
    """What rendering returns is always JSON in UTF-8."""
    assert json.loads(msgspec.json.encode(render.as_json(value)) or b"null") is not Ellipsis
    text = render.as_text(value)
    assert text is None or isinstance(text, str)
