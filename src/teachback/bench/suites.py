"""The list of suites, and how one is run and shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

from rich.console import Console

from teachback.bench import machine
from teachback.bench.progress import Progress
from teachback.bench.report import Figure, Report, print_report
from teachback.errors import Invalid

#: Suite → module with `run(*, quick, progress)`, loaded when it runs: every start of the command
#: line passes here.
SUITES = {
    "ingest": "teachback.bench.ingest",
    "search": "teachback.bench.search",
    "recall": "teachback.bench.recall",
    "gateway": "teachback.bench.gateway",
}


def main(
    suite: str = "all", *, quick: bool = False, as_json: bool = False, check: bool = False
) -> int:
    """Run a suite, or all of them, and print what came out.

    Returns the exit status: 1 when `check` is asked for and a figure misses its target.
    """
    errors = Console(stderr=True)
    missed: list[str] = []
    for name in SUITES if suite == "all" else [suite]:
        with errors.status(f"{name}: starting") as status:
            report = measure(
                name, quick=quick, progress=functools.partial(_show, status.update, name)
            )
        if as_json:
            print(report.to_json())  # noqa: T201 - the one object that tools read
        else:
            print_report(report, Console())
        missed += report.missed
    if check and missed:
        errors.print(f"targets missed: {', '.join(missed)}", style="red")
    return int(check and bool(missed))


def measure(suite: str, *, quick: bool, progress: Progress) -> Report:
    """Run one suite on this machine; raises Invalid when there is none of this name."""
    if suite not in SUITES:
        known = ", ".join(("all", *SUITES))
        raise Invalid("suite", value=suite, rule="there is no such suite", fix=f"Use {known}")
    run: Callable[..., list[Figure]] = import_module(SUITES[suite]).run
    return Report(
        suite=suite,
        version=version("teachback"),
        machine=machine.describe(),
        figures=tuple(run(quick=quick, progress=progress)),
        quick=quick,
    )


def _show(update: Callable[[str], None], suite: str, text: str) -> None:
    update(f"{suite}: {text}")
