"""Send the records of a file in batches, and keep what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from teachback.errors import Invalid
from teachback.transfer.api import Api, TooLarge
from teachback.transfer.source import Encoded, Problem, Problems, Source

#: A request takes 1,000 records and 10 MiB; a row's records may go into two requests.
_BATCH_RECORDS = 900
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Loaded:
    """What became of the records of a file."""

    stored: int = 0
    duplicates: int = 0
    refused: Problems = field(default_factory=Problems)
    #: All rows before this one are done with; an import that broke off goes on here.
    next_row: int = 1


def load(
    api: Api, source: Source, done: Loaded, *, on_row: Callable[[int], None] = lambda _: None
) -> None:
    """Send all records from `done.next_row` on; `done` is right whenever this breaks off."""
    rows = source.records(from_row=done.next_row, on_row=on_row)
    for batch in _batches(record for records in rows for record in records):
        _send(api, batch, done)
        done.next_row = batch[-1].row


def _batches(records: Iterator[Encoded]) -> Iterator[list[Encoded]]:
    batch: list[Encoded] = []
    size = 0
    for record in records:
        if batch and (size + len(record.payload) > _BATCH_BYTES or len(batch) == _BATCH_RECORDS):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.payload)
    if batch:
        yield batch


def _send(api: Api, batch: list[Encoded], done: Loaded) -> None:
    traces = [record for record in batch if record.object == "trace"]
    feedback = [record for record in batch if record.object == "feedback"]
    try:
        answer = api.send([one.payload for one in traces], [one.payload for one in feedback])
    except TooLarge:
        if len(batch) == 1:
            done.refused.add(Problem.of(batch[0].row, _TOO_LARGE))
            return
        records = iter(batch)
        while half := list(islice(records, (len(batch) + 1) // 2)):
            _send(api, half, done)
        return
    done.stored += answer["stored"]
    done.duplicates += answer["duplicates"]
    for record, result in zip([*traces, *feedback], answer["data"], strict=True):
        if result["status"] in ("rejected", "conflict"):
            done.refused.add(Problem.of(record.row, _why(result)))


_TOO_LARGE = Invalid("row", rule="its record is larger than a request", fix="Shorten it")


def _why(result: dict[str, Any]) -> Invalid:
    if result["status"] == "conflict":
        return Invalid(
            "id", value=result["id"], rule="the project has another record under it",
            fix="Make ids of fields that tell the rows apart, or correct by later feedback",
        )  # fmt: skip
    error = result.get("error") or {}
    return Invalid(
        error.get("field") or "record", rule=error.get("rule") or error.get("message") or "refused",
        fix=error.get("fix") or "Correct it and import again",
    )  # fmt: skip
