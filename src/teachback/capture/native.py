"""Our own wire format: JSON of docs/reference/api.md to traces and feedback."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from teachback.capture import json
from teachback.errors import Invalid
from teachback.model.feedback import (
    DEFAULT_NAMES,
    Feedback,
    Kind,
    Scale,
    SelectorPart,
    Source,
    ThreadAction,
)
from teachback.model.ids import MAX_ID_BYTES, new_id
from teachback.model.recall import Reason, Variant
from teachback.model.trace import ContextKind, Environment, Trace

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
#: Names, roles, versions and other short words.
Word = Annotated[str, Meta(max_length=MAX_ID_BYTES)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Amount = Annotated[float, Meta(ge=0)]
Unit = Annotated[float, Meta(ge=0, le=1)]
#: RFC 3339 with an offset: a time without one means something else on every machine.
Time = Annotated[datetime, Meta(tz=True)]
Words = Annotated[list[Word], Meta(max_length=64)]
Hash = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


#: How far a clock may run ahead before its times are taken as the time of receipt.
MAX_AHEAD = timedelta(days=1)


class In(Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class ContextItemIn(In):
    kind: ContextKind
    name: Word = ""
    version: Word = ""
    content: str | None = None
    content_hash: Hash | None = None
    score: float | None = None


class SpanIn(In):
    id: Id
    name: Word
    parent_id: Id | None = None
    kind: Word = ""
    started_at: Time | None = None
    latency_ms: Amount | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None


class InjectionIn(In):
    lesson_id: Id
    version: Count
    rank: Count
    score: float
    variant: Variant
    propensity: Unit
    reason: Reason
    position: Count | None = None
    tokens: Count = 0


class TraceIn(In):
    query: str
    id: Id | None = None
    output: str | None = None
    context: Annotated[list[ContextItemIn], Meta(max_length=1000)] = []
    spans: Annotated[list[SpanIn], Meta(max_length=20_000)] = []
    started_at: Time | None = None
    session_id: Id | None = None
    turn: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    request_model: Word | None = None
    response_model: Word | None = None
    provider: Word | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    latency_ms: Amount | None = None
    first_token_ms: Amount | None = None
    cost_usd: Amount | None = None
    error: str | None = None
    environment: Environment = "prod"
    user_id: Id | None = None
    role: Word | None = None
    surface: Word | None = None
    locale: Word | None = None
    release: Word | None = None
    tags: Words = []
    metadata: dict[str, Any] | None = None
    #: Left out of the fingerprint of a record without them: those kept before stay what they are.
    injections: Annotated[list[InjectionIn], Meta(max_length=200)] | UnsetType = UNSET


class SelectorIn(In):
    exact: str
    start: Count
    end: Count
    prefix: str = ""
    suffix: str = ""
    part: SelectorPart = "output"
    index: Count | None = None


class FeedbackIn(In):
    kind: Kind
    id: Id | None = None
    name: Id | None = None
    trace_id: Id | None = None
    span_id: Id | None = None
    session_id: Id | None = None
    submission_id: Id | None = None
    source: Source = "end_user"
    author: Word = ""
    identifier: Word = ""
    confidence: Unit = 1.0
    score: float | None = None
    scale: Scale | None = None
    label: Word | None = None
    labels: Words = []
    comment: str | None = None
    correction: str | None = None
    selector: SelectorIn | None = None
    withdrawn: bool = False
    metadata: dict[str, Any] | None = None
    occurred_at: Time | None = None


class ThreadEntryIn(In):
    action: ThreadAction
    id: Id | None = None
    author: Word = ""
    comment: str | None = None


#: One record: its bytes, or what a reader that lost nothing made of them.
Record = bytes | dict[str, Any]

R = TypeVar("R", Trace, Feedback)
T = TypeVar("T")
S = TypeVar("S", bound=In)


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """A record and the fingerprint of what was sent for it."""

    record: T
    #: Equal for the same record sent again, whatever its key order; other content differs.
    digest: bytes


def decode_trace(
    raw: Record, *, now: datetime, drift_s: float = 0.0, sanitized: bool = False
) -> Decoded[Trace]:
    """Decode one trace of a sanitized body; raises Invalid.

    `now` stands in for absent times; `drift_s` is how far the sender's clock runs behind ours.
    """
    wire = decode(raw, TraceIn)
    digest = _digest(wire)
    wire.id = wire.id or new_id()
    wire.started_at = _time(wire.started_at, now, drift_s)
    wire.injections = wire.injections or []
    trace = msgspec.convert(wire, Trace, from_attributes=True)
    return Decoded(_received(trace, now, sanitized=sanitized), digest)


def decode_feedback(
    raw: Record, *, now: datetime, drift_s: float = 0.0, sanitized: bool = False
) -> Decoded[Feedback]:
    """Decode one feedback of a sanitized body; raises Invalid."""
    wire = decode(raw, FeedbackIn)
    digest = _digest(wire)
    wire.id = wire.id or new_id()
    wire.name = wire.name or DEFAULT_NAMES.get(wire.kind, "")
    wire.occurred_at = _time(wire.occurred_at, now, drift_s)
    feedback = msgspec.convert(wire, Feedback, from_attributes=True)
    return Decoded(_received(feedback, now, sanitized=sanitized), digest)


def _received(record: R, now: datetime, *, sanitized: bool) -> R:
    """Complete a record nobody has seen yet by what its sender cannot say; frozen from here on.

    Measured, making it anew with two more fields costs as much as decoding it.
    """
    object.__setattr__(record, "received_at", now)
    object.__setattr__(record, "sanitized", sanitized)
    return record


def decode_thread_entry(raw: bytes) -> ThreadEntryIn:
    """Decode one entry of an annotation's thread; raises Invalid."""
    return decode(raw, ThreadEntryIn)


_ENCODER = msgspec.json.Encoder(order="deterministic")


def decode(raw: Record, shape: type[S]) -> S:
    """Decode a sanitized body of this shape; raises Invalid."""
    value = json.loads(raw, "record") if isinstance(raw, bytes) else raw
    try:
        wire = msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise _invalid(value, str(error)) from None
    if value is raw:
        _check_depth(wire)
    _check_id_bytes(wire)
    return wire


def _check_depth(wire: Struct) -> None:
    """Check the free parts of a record whose bytes were not seen; all else has a shape."""
    json.check_depth("metadata", getattr(wire, "metadata", None), level=2)
    for span in getattr(wire, "spans", ()):
        json.check_depth("spans.metadata", span.metadata, level=4)


def _check_id_bytes(wire: Struct) -> None:
    """Check what Meta's max_length, which counts characters, lets through."""
    for name in _ID_FIELDS:
        value = getattr(wire, name, None)
        if value is not None and not value.isascii():
            _check_bytes(name, value)


_ID_FIELDS = (
    "id", "name", "trace_id", "span_id", "session_id", "submission_id", "author", "identifier",
    "user_id", "release", "request_model", "response_model", "model",
)  # fmt: skip


def _check_bytes(name: str, value: str) -> None:
    size = len(value.encode())
    if size > MAX_ID_BYTES:
        raise Invalid(
            name,
            rule=f"an id or name has at most {MAX_ID_BYTES} bytes of UTF-8, this one has {size}",
            fix="Send a shorter one, such as its SHA-256",
        )


def _time(value: datetime | None, now: datetime, drift_s: float) -> datetime:
    if value is None:
        return now
    try:
        moved = datetime.fromtimestamp(value.timestamp() + drift_s, UTC) if drift_s else value
        # Python's calendar ends before PostgreSQL's; near its edges an offset leaves it.
        # What lies in the future would be in force for ever: nobody could judge after it.
        return now if moved > now + MAX_AHEAD else moved.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise Invalid(
            "time", value=value.isoformat(), rule="a time lies between the years 1 and 9999",
            fix="Send RFC 3339 with an offset, such as 2026-03-01T12:00:00Z",
        ) from error  # fmt: skip


def _digest(wire: Struct) -> bytes:
    return hashlib.blake2b(_ENCODER.encode(wire), digest_size=12).digest()


_AT = re.compile(r"^(?P<rule>.*?)(?: - at `\$?\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")


#: The one message of the decoder that quotes the whole value.
_ENUM = re.compile(r"Invalid enum value .*", re.DOTALL)


def _invalid(value: object, message: str) -> Invalid:
    match = _AT.match(message)
    rule = _ENUM.sub("not one of the values allowed here", match["rule"] if match else message)
    path = (match["path"] if match else None) or ""
    named = _NAMED.search(rule)
    field = ".".join(part for part in (path, named["name"] if named else "") if part) or "record"
    found = None if named else _lookup(value, path)
    # What is too long for a word is likely to be what somebody said.
    is_long = isinstance(found, str) and len(found) > MAX_SHOWN
    return Invalid(
        field,
        value=None if is_long else found,
        rule=rule[0].lower() + rule[1:],
        fix="See docs/reference/api.md for the field's type and bounds",
        shown=field.rpartition(".")[2] not in _CONTENT_FIELDS,
    )


#: Longest text that a message repeats.
MAX_SHOWN = 64

#: Fields whose values may hold what people said: never repeated in a message.
_CONTENT_FIELDS = {
    "query", "output", "content", "comment", "correction", "exact", "prefix", "suffix", "input",
    "error", "metadata", "record", "situation", "text", "answer", "reason", "messages", "system",
    "instructions",
}  # fmt: skip


def _lookup(value: object, path: str) -> object:
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value if isinstance(value, str | int | float | bool) else None
