"""The list of suites, and how one is run and shown."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from rich.console import Console

from teachback.bench import ingest, machine
from teachback.bench.report import Figure, Report, print_report
from teachback.errors import Invalid

#: Name → suite; each is told `quick` and `progress` and returns its figures.
SUITES: dict[str, Callable[..., list[Figure]]] = {
    "ingest": ingest.run,
}


def measure(name: str, *, quick: bool, progress: Callable[[str], None]) -> Report:
    """Run one suite on this machine; raises Invalid when there is none of this name."""
    if name not in SUITES:
        known = ", ".join(SUITES)
        raise Invalid("suite", value=name, rule="there is no such suite", fix=f"Use one of {known}")
    figures = SUITES[name](quick=quick, progress=progress)
    return Report(
        suite=name,
        version=version("teachback"),
        machine=machine.describe(),
        figures=tuple(figures),
        quick=quick,
    )


def main(
    name: str = "all", *, quick: bool = False, as_json: bool = False, check: bool = False
) -> int:
    """Run a suite, or all of them, and print what came out.

    Returns the exit status: 1 when `check` is asked for and a figure misses its target.
    """
    errors = Console(stderr=True)
    missed: list[str] = []
    for suite in SUITES if name == "all" else [name]:
        with errors.status(f"{suite}: starting") as status:
            report = measure(
                suite,
                quick=quick,
                progress=lambda text, suite=suite: status.update(f"{suite}: {text}"),  # type: ignore[misc]
            )
        if as_json:
            print(report.to_json())  # noqa: T201 - the one object that tools read
        else:
            print_report(report, Console())
        missed += report.missed
    if check and missed:
        errors.print(f"targets missed: {', '.join(missed)}", style="red")
    return int(check and bool(missed))
