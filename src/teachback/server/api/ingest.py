"""Writes: decode each record on its own, store the good ones together, answer for each.

These routes are the hot ones: they take the raw request, decode with msgspec and skip the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from teachback.capture import json as strict_json
from teachback.capture.native import Record
from teachback.errors import Conflict, Invalid, TeachbackError
from teachback.record.accept import Item
from teachback.record.intake import Intake
from teachback.record.writer import Answer
from teachback.server.auth import Caller, feedback_caller, secret_caller
from teachback.server.bodies import API_LIMIT, BROWSER_LIMIT, Body, read_json
from teachback.server.context import Context, context
from teachback.server.idempotency import replayed
from teachback.server.problems import json_response, problem, status_of

Object = Literal["trace", "feedback"]
#: A body's members: decoded where that was exact, otherwise as bytes.
Members = Mapping[str, object]
T = TypeVar("T")
_Moment: Any = datetime | None
#: Items in one request: as many as one shared commit takes.
MAX_ITEMS = 1_000
#: A sender's clock that is off by more than this is corrected by `sent_at`.
TOLERATED_DRIFT_S = 60.0


@dataclass(slots=True)
class _Slot:
    """One item of a request and what becomes of it."""

    object: Object
    index: int
    id: str | None
    item: Item | None = None
    error: TeachbackError | None = None


@replayed
async def post_traces(request: Request) -> Response:
    """Store one trace or a list of them."""
    caller = await secret_caller(request)
    return await _post(request, caller, await read_json(request), "trace")


@replayed
async def post_feedback(request: Request) -> Response:
    """Store one feedback or a list of them."""
    caller = await feedback_caller(request)
    limit = BROWSER_LIMIT if caller.token else API_LIMIT
    return await _post(request, caller, await read_json(request, limit=limit), "feedback")


@replayed
async def post_batch(request: Request) -> Response:
    """Store traces and feedback together, and count what the client lost."""
    caller = await secret_caller(request)
    body = await read_json(request)
    members = _members(body)
    _check_members(members, {"traces", "feedback", "report", "sent_at"})
    intake = await _intake(request, caller, body, sent_at=members.get("sent_at"))
    slots = _decode_lists(intake, members)
    _count_report(context(request), members.get("report"))
    return await _store(context(request), slots, named=True)


async def _post(request: Request, caller: Caller, body: Body, kind: Object) -> Response:
    members = _members(body)
    if "data" not in members:
        intake = await _intake(request, caller, body, sent_at=None)
        return await _store_one(context(request), _decode(intake, kind, 0, body.raw))
    _check_members(members, {"data", "sent_at"})
    intake = await _intake(request, caller, body, sent_at=members.get("sent_at"))
    return await _store(context(request), _decode_lists(intake, {_LIST[kind]: members["data"]}))


_LIST: dict[Object, str] = {"trace": "traces", "feedback": "feedback"}


def _members(body: Body) -> Members:
    """Read a whole body at once where nothing is lost by it, else leave its members as bytes.

    Then every record is read on its own, and one that is refused spoils no other.
    """
    whole = None if body.sanitized else strict_json.quick_object(body.raw)
    return strict_json.split_object(body.raw) if whole is None else whole


async def _intake(
    request: Request, caller: Caller, body: Body, *, sent_at: object | None
) -> Intake:
    return Intake(
        project=await context(request).project(caller.project_id),
        token=caller.token,
        now=datetime.now(UTC),
        drift_s=_drift(sent_at),
        sanitized=body.sanitized,
    )


def _decode_lists(intake: Intake, members: Members) -> list[_Slot]:
    slots = [
        _decode(intake, kind, index, raw)
        for kind, name in _LIST.items()
        for index, raw in enumerate(_records(name, members.get(name, [])))
    ]
    if len(slots) > MAX_ITEMS:
        raise Invalid(
            "body", rule=f"one request holds at most {MAX_ITEMS} records, this one {len(slots)}",
            fix="Split it",
        )  # fmt: skip
    return slots


def _records(name: str, given: object) -> list[Record]:
    if isinstance(given, list) and all(isinstance(record, dict) for record in given):
        return given
    raw = given if isinstance(given, bytes) else msgspec.json.encode(given)
    return [*strict_json.split_list(name, raw)]


def _decode(intake: Intake, kind: Object, index: int, raw: Record) -> _Slot:
    try:
        item = intake.trace(raw) if kind == "trace" else intake.feedback(raw)
        return _Slot(kind, index, item.id, item)
    except TeachbackError as error:
        return _Slot(kind, index, _claimed_id(raw), error=error)


class _Identified(msgspec.Struct):
    id: str | None = None


def _claimed_id(raw: Record) -> str | None:
    """Find the id of a refused record, so that its sender can tell which one it was."""
    try:
        return _read(raw, _Identified).id
    except (msgspec.MsgspecError, RecursionError):
        return None


async def _store(ctx: Context, slots: list[_Slot], *, named: bool = False) -> Response:
    answers = await _write(ctx, slots)
    results = [
        _result(slot, answer, named=named) for slot, answer in zip(slots, answers, strict=True)
    ]
    statuses = [result["status"] for result in results]
    summary = {
        "data": results,
        "stored": statuses.count("stored"),
        "duplicates": statuses.count("duplicate"),
        "rejected": statuses.count("rejected") + statuses.count("conflict"),
    }
    return json_response(summary, status=207 if summary["rejected"] else 200)


async def _store_one(ctx: Context, slot: _Slot) -> Response:
    answer = (await _write(ctx, [slot]))[0]
    if answer == "conflict":
        answer = Conflict(f"the {slot.object} id {slot.id!a} is taken by another record")
    if isinstance(answer, TeachbackError):
        return json_response({"error": problem(answer)}, status=status_of(answer))
    status = 201 if answer == "stored" else 200
    return json_response({"id": slot.id, "status": answer}, status=status)


async def _write(ctx: Context, slots: list[_Slot]) -> list[Answer]:
    """Store the slots that hold an item; errors of the others are their answers."""
    started = time.perf_counter()
    items = [slot.item for slot in slots if slot.item is not None]
    stored = iter(await ctx.writer.write(items))
    answers = [slot.error if slot.error is not None else next(stored) for slot in slots]
    ctx.metrics.write_seconds.observe(time.perf_counter() - started)
    for (kind, outcome), count in Counter(map(_outcome, slots, answers)).items():
        _count(ctx, kind, outcome, count)
    return answers


def _outcome(slot: _Slot, answer: Answer) -> tuple[Object, str]:
    return slot.object, answer if isinstance(answer, str) else answer.type


def _count(ctx: Context, kind: Object, outcome: str, count: int) -> None:
    if outcome == "stored":
        ctx.metrics.accepted.labels(kind).inc(count)
    elif outcome == "duplicate":
        ctx.metrics.duplicates.labels(kind).inc(count)
    else:
        ctx.metrics.rejected.labels(kind, outcome).inc(count)


def _result(slot: _Slot, answer: Answer, *, named: bool) -> dict[str, object]:
    result: dict[str, object] = {"object": slot.object} if named else {}
    result |= {"index": slot.index, "id": slot.id}
    if isinstance(answer, TeachbackError):
        return result | {"status": "rejected", "error": problem(answer)}
    return result | {"status": answer}


def _check_members(body: Members, allowed: set[str]) -> None:
    unknown = sorted(set(body) - allowed)
    if unknown:
        raise Invalid(
            unknown[0], rule=f"the body has the members {', '.join(sorted(allowed))}",
            fix="Remove it or correct its name",
        )  # fmt: skip


def _drift(sent: object | None) -> float:
    """Return how many seconds the sender's clock runs behind ours, 0 when it is about right."""
    if sent is None:
        return 0.0
    try:
        sent_at = _read(sent, _Moment)
    except msgspec.MsgspecError:
        raise Invalid(
            "sent_at", rule="a time is RFC 3339 with an offset", fix="Send one, or leave it out"
        ) from None
    if sent_at is None or sent_at.tzinfo is None:
        return 0.0
    drift = (datetime.now(UTC) - sent_at).total_seconds()
    return drift if abs(drift) > TOLERATED_DRIFT_S else 0.0


def _read(given: object, shape: type[T]) -> T:
    """Read a member or a record by its shape; raises msgspec.MsgspecError."""
    if isinstance(given, bytes):
        return msgspec.json.decode(given, type=shape)
    return msgspec.convert(given, shape)


class _Dropped(msgspec.Struct):
    reason: str
    kind: str
    count: int


class _Report(msgspec.Struct):
    dropped: list[_Dropped] = []


#: Reasons and kinds a client may report; anything else is counted as "other", so that a client
#: cannot make up metrics without end.
_REASONS = {"queue_full", "spool_full", "too_large", "rejected", "expired", "unrenderable",
            "corrupt", "shutdown", "disk"}  # fmt: skip
_OBJECTS = {"trace", "feedback"}


def _count_report(ctx: Context, given: object | None) -> None:
    try:
        report = _read({} if given is None else given, _Report)
    except msgspec.MsgspecError:
        return  # what was lost is lost already; the records beside the report are worth more
    for entry in report.dropped[:100]:
        if 0 < entry.count < 10**12:
            kind = entry.kind if entry.kind in _OBJECTS else "other"
            reason = entry.reason if entry.reason in _REASONS else "other"
            ctx.metrics.dropped.labels(kind, reason).inc(entry.count)
