"""What a suite answers: figures with their bounds, as a table for people or JSON for tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number. Its name is stable: figures are compared over time."""

    name: str
    #: None when it was skipped; `note` says why.
    value: float | None
    unit: str
    #: How many runs or observations stand behind the value.
    n: int = 1
    #: Bounds of the value: an interval, or the least and the greatest over runs.
    low: float | None = None
    high: float | None = None
    target: float | None = None
    better: Better = "higher"
    #: The best published or measured alternative, and where it is from.
    reference: float | None = None
    source: str | None = None
    note: str | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a target and the value does not reach it; skipped figures miss none."""
        if self.target is None or self.value is None:
            return False
        if self.better == "higher":
            return self.value < self.target
        return self.value > self.target


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures of one suite on one machine."""

    suite: str
    version: str
    machine: dict[str, str | int | float]
    figures: Sequence[Figure] = field(default_factory=tuple)
    #: True when the reduced form ran: figures are indications.
    quick: bool = False

    @property
    def missed(self) -> list[str]:
        """The names of the figures that miss their target."""
        return [figure.name for figure in self.figures if figure.missed]

    def to_json(self) -> str:
        """Render the report as one JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


def over_runs(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the greatest of several runs."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return median, ordered[0], ordered[-1]


def print_report(report: Report, console: Console) -> None:
    """Print a report as a table, then the notes."""
    about = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    title = f"{report.suite}  ·  Teachback {report.version}{'  ·  quick' if report.quick else ''}"
    table = Table(title=title, caption=about, title_justify="left", caption_justify="left")
    for heading in ("figure", "value", "low to high", "n", "target", "reference"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in report.figures:
        table.add_row(*_cells(figure))
    console.print(table)
    for figure in report.figures:
        if figure.note:
            console.print(f"  {figure.name}: {figure.note}", style="dim", highlight=False)


def _cells(figure: Figure) -> tuple[str, ...]:
    bounds = "" if figure.low is None else f"{_short(figure.low)} to {_short(figure.high)}"
    sign = "≥" if figure.better == "higher" else "≤"
    target = "" if figure.target is None else f"{sign} {_short(figure.target)}"
    reference = "" if figure.reference is None else f"{_short(figure.reference)} ({figure.source})"
    color = "red" if figure.missed else "green" if figure.target is not None else "default"
    value = "skipped" if figure.value is None else f"{_short(figure.value)} {figure.unit}"
    return (figure.name, f"[{color}]{value}[/]", bounds, f"{figure.n:,}", target, reference)


def _short(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
