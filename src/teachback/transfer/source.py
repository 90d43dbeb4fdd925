"""A file as records of ours, and what is wrong with it before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from teachback.capture.exported import read_exported
from teachback.capture.mapping import Coverage, Mapped, Mapping, Object
from teachback.capture.rows import Row, read_rows
from teachback.errors import Invalid
from teachback.model.project import Project
from teachback.record.intake import Intake

#: Problems that are told one by one; the others are counted.
MAX_TOLD = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a row, or the record made of it, is not taken."""

    row: int
    field: str
    value: str | None
    rule: str
    fix: str

    @classmethod
    def of(cls, row: int, error: Invalid) -> Problem:
        """Tell what is wrong in a row."""
        return cls(row=row, field=error.field, value=error.value, rule=error.rule, fix=error.fix)

    @property
    def text(self) -> str:
        was = f" is {self.value}" if self.value is not None else ""
        return f"row {self.row}: {self.field}{was}: {self.rule}. {self.fix}."


@dataclass(slots=True)
class Problems:
    """All problems counted, the first of them told."""

    count: int = 0
    told: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Count a problem, and keep it while there are few."""
        self.count += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(problem)

    def as_dict(self) -> dict[str, object]:
        """Return them for JSON."""
        return {"count": self.count, "first": [asdict(problem) for problem in self.told]}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record ready to send, and the row that it comes from."""

    row: int
    object: Object
    payload: bytes


@dataclass(slots=True)
class Checked:
    """What a reading of the whole file found."""

    rows: int = 0
    traces: int = 0
    feedback: int = 0
    problems: Problems = field(default_factory=Problems)
    #: Columns that the mapping does not read.
    unused: list[str] = field(default_factory=list)
    #: Fields that the mapping reads and no row has.
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file, how it is mapped, and the project whose rules its records keep."""

    path: Path
    #: None: the file is in our own format.
    mapping: Mapping | None
    project: Project

    def check(self, on_row: Callable[[int], None]) -> Checked:
        """Read the whole file and send nothing."""
        found, coverage = Checked(), Coverage()
        for row in read_rows(self.path):
            found.rows += 1
            on_row(found.rows)
            try:
                records = self._encode(row, coverage)
            except Invalid as error:
                found.problems.add(Problem.of(row.number, error))
                continue
            found.traces += sum(record.object == "trace" for record in records)
            found.feedback += sum(record.object == "feedback" for record in records)
        if self.mapping is not None and found.rows:
            found.unused = self.mapping.unused(coverage)
            found.missing = self.mapping.missing(coverage)
        return found

    def records(self, *, from_row: int, on_row: Callable[[int], None]) -> Iterator[list[Encoded]]:
        """Return the records of each row that can be mapped."""
        coverage = Coverage()
        for count, row in enumerate(read_rows(self.path), 1):
            if row.number >= from_row:
                try:
                    yield self._encode(row, coverage)
                except Invalid:
                    continue  # told by the check
                finally:
                    on_row(count)

    def _encode(self, row: Row, coverage: Coverage) -> list[Encoded]:
        if row.error is not None:
            raise row.error
        return [self._checked(row.number, one) for one in self._mapped(row, coverage)]

    def _mapped(self, row: Row, coverage: Coverage) -> Iterator[Mapped]:
        if self.mapping is not None:
            yield from self.mapping.records(row, coverage)
        elif row.members is not None:
            names = self.path.name.lower().removesuffix(".gz")
            yield read_exported(row.members, guarded=names.endswith((".csv", ".tsv")))

    def _checked(self, number: int, record: Mapped) -> Encoded:
        try:
            payload = msgspec.json.encode(record.members)
        except UnicodeEncodeError as error:
            raise Invalid(
                "row", rule="it holds half of a surrogate pair, which is no character",
                fix="Replace it by U+FFFD",
            ) from error  # fmt: skip
        intake = Intake(project=self.project, token=None, now=datetime.now(UTC))
        _ = intake.trace(payload) if record.object == "trace" else intake.feedback(payload)
        return Encoded(number, record.object, payload)
