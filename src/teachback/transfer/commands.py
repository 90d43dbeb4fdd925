"""`teachback import` and `teachback export`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from teachback.capture.mapping import load_mapping
from teachback.errors import Invalid
from teachback.transfer.api import Api
from teachback.transfer.load import Loaded, load
from teachback.transfer.source import Checked, Problems, Source
from teachback.transfer.tables import Format
from teachback.transfer.unload import Kind, unload

app = typer.Typer()
out = Console()
err = Console(stderr=True)

#: Problems that a person wants to read at once; `--json` tells more.
_SHOWN = 20

Url = Annotated[str | None, typer.Option(envvar="TEACHBACK_URL", help="Where the server is.")]
Key = Annotated[
    str | None, typer.Option(envvar="TEACHBACK_KEY", help="Secret key.", show_envvar=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="JSON lines, a JSON array, CSV or Parquet.")],
    mapping: Annotated[
        Path | None, typer.Option(help="What becomes of a row; without: our own export.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read it all and send nothing.")] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out what cannot be mapped; else nothing is sent.")
    ] = False,
    from_row: Annotated[int, typer.Option(min=1, help="Go on at this row.")] = 1,
    url: Url = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Bring data in: the whole file is checked first, then sent; a repeat changes nothing."""
    rules = load_mapping(mapping) if mapping else None
    with Api(url, key) as api:
        source = Source(path=file, mapping=rules, project=api.project())
        with _progress("checking", None) as advance:
            checked = source.check(advance)
        wrong = bool(checked.missing or (checked.problems.count and not skip))
        done = Loaded(next_row=from_row)
        if not json:
            _tell_check(checked)
        if not check and not wrong:
            _load(api, source, done, checked.rows)
    if json:
        out.print_json(data=_report(checked, done))
    elif not check and not wrong:
        _tell(done.refused, "refused by the server")
        out.print(
            f"{done.stored} stored, {done.duplicates} were there, {done.refused.count} refused"
        )
    elif wrong:
        err.print("[red]nothing was sent[/]")
    raise typer.Exit(1 if wrong or done.refused.count else 0)


def _load(api: Api, source: Source, done: Loaded, rows: int) -> None:
    try:
        with _progress("importing", rows) as advance:
            load(api, source, done, on_row=advance)
    except BaseException:
        err.print(f"Broken off; the same command with --from-row {done.next_row} goes on.")
        raise


def _report(checked: Checked, done: Loaded) -> dict[str, object]:
    return {
        "rows": checked.rows, "traces": checked.traces, "feedback": checked.feedback,
        "problems": checked.problems.as_dict(), "unused": checked.unused,
        "missing": checked.missing, "stored": done.stored, "duplicates": done.duplicates,
        "refused": done.refused.as_dict(), "next_row": done.next_row,
    }  # fmt: skip


def _tell_check(checked: Checked) -> None:
    _tell(checked.problems, "cannot be mapped")
    for path in checked.missing:
        _complain(f"{path}: the mapping reads it and no row has it. Correct it, or remove it.")
    if checked.unused:
        err.print(f"not used: {escape(', '.join(checked.unused[:_SHOWN]))}", highlight=False)
    out.print(f"{checked.rows} rows: {checked.traces} traces, {checked.feedback} feedback")


def _tell(problems: Problems, what: str) -> None:
    for problem in problems.told[:_SHOWN]:
        _complain(problem.text)
    if problems.count > _SHOWN:
        _complain(f"… {problems.count} {what}; --json tells more of them")


def _complain(text: str) -> None:
    err.print(f"[red]·[/] {escape(text)}", highlight=False, soft_wrap=True)


@app.command("export")
def export_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="File; - is standard output.")],
    kind: Annotated[Kind, typer.Option(help="What to take out.")] = "feedback",
    form: Annotated[
        Format | None, typer.Option("--format", help="By default as the file's name ends.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="A line of the filter language.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before this time.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Take feedback or traces out, oldest first; the file is there whole or not at all."""
    form = form or _by_name(output)
    filters = {"q": where, "since": _time("since", since), "until": _time("until", until)}
    given = {name: value for name, value in filters.items() if value is not None}
    target = None if str(output) == "-" else output
    with Api(url, key) as api, _progress("exporting", None) as advance:
        count = unload(api, kind, form, target, filters=given, on_count=advance)
    err.print(f"{count} records", highlight=False)


def _by_name(path: Path) -> Format:
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".parquet" | ".pq":
            return "parquet"
    return "jsonl"


def _time(name: str, text: str | None) -> str | None:
    """Return a time as the API takes it: a day alone begins at midnight UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(f"{text}T00:00:00Z" if len(text) == len("2026-03-01") else text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid(
            name, value=text, rule="a time has an offset, or is a day",
            fix="Write 2026-03-01T12:00:00Z, or 2026-03-01",
        )  # fmt: skip
    return at.isoformat()


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*bars, TimeElapsedColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.update(task, completed=count)
