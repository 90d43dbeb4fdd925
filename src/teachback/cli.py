"""The command line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from teachback import boot, doctor
from teachback.config import load
from teachback.errors import Conflict, SetupError, TeachbackError
from teachback.model.project import KeyKind
from teachback.store import jobs
from teachback.store.database import Database
from teachback.transfer import commands as transfer

app = typer.Typer(
    name="teachback",
    help="Teach your LLM application from its users, and prove that the lesson helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="API keys of a project.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
jobs_app = typer.Typer(help="Background jobs.", no_args_is_help=True)
app.add_typer(jobs_app, name="jobs")
app.add_typer(transfer.app)
out = Console()
err = Console(stderr=True)

T = TypeVar("T")

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
DataDir = Annotated[Path | None, typer.Option(help="Where the embedded database lives.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the API, the console and a worker in one process."""
    boot.serve(load(host=host, port=port, data_dir=data_dir), say=_say)


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Run background work alone, beside other processes on the same database."""
    boot.work(load(data_dir=data_dir), say=_say)


@app.command()
def demo(
    port: Port = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Draws the assistant's flaws and its users.")] = 7,
    live: Annotated[bool, typer.Option(help="Let simulated users go on asking.")] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Run the product with a small assistant and simulated users; prints where to look."""
    from teachback.showcase import Showcase  # the demo is not loaded to serve

    settings = load(port=port, data_dir=data_dir)
    if data_dir is None:
        settings = load(port=port, data_dir=settings.data_dir / "demo")
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        Showcase(
            settings,
            seed=seed,
            live=live,
            browser=browser and err.is_terminal,
            say=_say,
            progress=lambda text, share: _advance(bar, task, text, share),
        ).run()


def _advance(bar: Progress, task: TaskID, text: str, share: float) -> None:
    bar.update(task, description=text, completed=share)
    if share >= 1.0:
        bar.stop()


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's schema up to date; `serve` and `worker` do so by themselves."""
    applied = boot.migrate(load(data_dir=data_dir), say=_say)
    out.print("\n".join(applied) or "The schema is up to date.")


@app.command(name="doctor")
def doctor_command(data_dir: DataDir = None, json: Json = False) -> None:
    """Say what is wrong with this set-up and how to mend it."""
    findings = doctor.examine(lambda: load(data_dir=data_dir))
    if json:
        out.print_json(data=[finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]wrong[/]"
            out.print(f"{mark} {finding.name}: {finding.text}", highlight=False)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "command line",
    public: Annotated[bool, typer.Option("--public", help="For browsers.")] = False,
    member: Annotated[str | None, typer.Option(help="E-mail of the member it acts for.")] = None,
    project: Annotated[str | None, typer.Option(help="Project id; the first by default.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key and print it, once."""
    if public and member:
        raise typer.BadParameter("a key that acts for a member is secret: leave --public out")
    kind: KeyKind = "public" if public else "secret"
    new = _run(data_dir, lambda admin: admin.create_key(project, kind, name, member))
    if json:
        out.print_json(data=new)
    else:
        out.print(new["secret"], highlight=False, soft_wrap=True)


@keys_app.command("list")
def list_keys(
    project: Annotated[str | None, typer.Option(help="Project id; the first by default.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the keys of a project."""
    keys = _run(data_dir, lambda admin: admin.list_keys(project))
    if json:
        out.print_json(data=keys)
        return
    table = Table("id", "kind", "name", "created", "revoked")
    for key in keys:
        table.add_row(key["id"], key["kind"], key["name"], key["created_at"], key["revoked_at"])
    out.print(table)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id inside the key: tb_sk_ID_…")],
    project: Annotated[str | None, typer.Option(help="Project id; the first by default.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Revoke a key; it stops working everywhere within seconds."""
    _run(data_dir, lambda admin: admin.revoke_key(project, key_id))
    out.print("Revoked.")


@app.command()
def login(data_dir: DataDir = None) -> None:
    """Print a link that signs the owner in once, for a first start or a lost password."""
    link = _run(data_dir, lambda admin: admin.login_link())
    out.print(link, highlight=False, soft_wrap=True)


@app.command()
def password(
    email: Annotated[str, typer.Option(help="Whose password to set.")] = boot.OWNER_EMAIL,
    data_dir: DataDir = None,
) -> None:
    """Ask for a member's new password; signs them out everywhere."""
    chosen: str = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    _run(data_dir, lambda admin: admin.set_password(email, chosen))
    out.print("The password is set.")


@jobs_app.command("list")
def list_jobs(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that gave up.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the newest background jobs, and why they failed."""
    found = _run(data_dir, lambda admin: jobs.list_jobs(admin.db, failed=failed))
    if json:
        out.print_json(data=[asdict(job) for job in found], default=_iso)
        return
    table = Table("id", "job", "status", "attempts", "since", "reason")
    for job in found:
        since = f"{job.deferred_at:%Y-%m-%d %H:%M:%S}" if job.deferred_at else ""
        row = (str(job.id), job.name, job.status, str(job.attempts), since, job.reason or "")
        table.add_row(*map(escape, row))
    out.print(table)


@jobs_app.command("retry")
def retry_job(
    job_id: Annotated[int | None, typer.Argument(help="The job's id.")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed job.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Put a failed job, or all of them, into the queue again."""
    if (job_id is None) is not all_failed:
        raise typer.BadParameter("name one job, or say --all-failed")
    wanted = [] if job_id is None else [job_id]
    count = _run(data_dir, lambda admin: _retry(admin.db, wanted))
    out.print(f"{count} {'job waits' if count == 1 else 'jobs wait'} in the queue.")


async def _retry(db: Database, wanted: list[int]) -> int:
    """Retry what is wanted, or all that failed; return how many jobs wait now."""
    count = 0
    for job_id in wanted or await jobs.failed_ids(db):
        try:
            await jobs.retry_failed(db, job_id)
            count += 1
        except Conflict:  # of several failed twins, one is enough
            if wanted:
                raise
    return count


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds")


@app.command(name="bench")
def bench_command(
    suite: Annotated[str, typer.Argument(help="The suite's name; `all` runs every one.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="A reduced form, for CI.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when a target is missed.")] = False,
    json: Json = False,
) -> None:
    """Measure the product on this machine, beside published figures."""
    from teachback.bench import suites  # nor are the benchmarks

    raise typer.Exit(suites.main(suite, quick=quick, as_json=json, check=check))


def main() -> None:
    """Run the command line; mistakes of set-up print as one message, without a traceback."""
    try:
        app()
    except TeachbackError as error:
        err.print(f"[red]{type(error).__name__}:[/] {error.message}", highlight=False)
        sys.exit(2 if isinstance(error, SetupError) else 1)


def _run(data_dir: Path | None, task: Callable[[boot.Admin], Awaitable[T]]) -> T:
    return asyncio.run(boot.administer(load(data_dir=data_dir), task, say=_say))


def _say(message: str) -> None:
    err.print(f"[dim]·[/] {message}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
