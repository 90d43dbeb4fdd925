"""The documentation says what is there, and its examples run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from support.running import product, wire
from support.wire import Wire
from teachback import cli, config, jobs
from teachback.bench.product import Product
from teachback.core.filters import ALIASES, FIELDS
from teachback.server.api.routes import ROUTES

__all__ = ["product", "wire"]

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
FAULTS = DOCS / "reference" / "faults.md"
ROWS = [
    f"{letter}{number:02}"
    for letter, last in (("R", 19), ("I", 37), ("G", 15))
    for number in range(1, last + 1)
]
#: ```python run``` and ```bash run``` on a line of their own open an example that runs.
EXAMPLE = re.compile(r"^```(python|bash) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _everything() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)


def _fault_rows() -> dict[str, str]:
    rows = re.findall(r"^\| ([RIG]\d\d) \|.*\| (.*) \|$", FAULTS.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a row stands twice"
    return dict(rows)


def test_every_fault_has_its_row() -> None:
    """All rows are there, in order, each with a test or a reason."""
    rows = _fault_rows()
    assert list(rows) == ROWS
    assert [row for row, told in rows.items() if "::" not in told and "*not yet*" not in told] == []


def test_every_test_of_the_fault_table_exists() -> None:
    """A renamed or removed test cannot stay in the table."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", FAULTS.read_text("utf-8"))
    assert len(named) > 50
    missing = [
        f"{file}::{name}" for file, name in named if name not in _tests(ROOT / "tests" / file)
    ]
    assert missing == []


def _tests(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_setting_is_documented() -> None:
    """Each environment variable that the server reads stands in the docs."""
    text = _everything()
    names = [config.variable(name) for name in config.Settings.model_fields]
    assert [name for name in names if name not in text] == []


def test_every_variable_in_the_docs_is_read() -> None:
    """No page names a variable that nothing reads."""
    known = {config.variable(name) for name in config.Settings.model_fields} | config.FOREIGN
    known |= {f"{name}_FILE" for name in known} | {"TEACHBACK_DATABASE_URL"}
    assert sorted(set(re.findall(r"\bTEACHBACK_[A-Z_]+\b", _everything())) - known) == []


def test_every_route_is_documented() -> None:
    """Each route of the table stands in the reference of the API."""
    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    missing = [
        f"{method} {path}"
        for method, path, *_ in ROUTES
        if re.sub(r"\{\w+(:\w+)?\}", "{id}", path) not in text or method not in text
    ]
    assert missing == []


def test_every_command_is_documented() -> None:
    """Each command of the command line stands in the docs as it is typed."""
    text = _everything()
    assert [command for command in _commands() if command not in text] == []


def _commands() -> Iterator[str]:
    group = get_command(cli.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        yield from [f"teachback {name} {sub}" for sub in below] if below else [f"teachback {name}"]


def test_every_job_is_documented() -> None:
    """Each name of background work stands in the docs: it is what the job table shows."""
    text = _everything()
    names = [name for name, *_ in jobs.PERIODIC + jobs.LOOPS] + [
        jobs.EMBED,
        jobs.CALIBRATE,
        jobs.RETRY_STALLED,
        jobs.DELETE_OLD,
    ]
    assert [name for name in names if name not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    """No page links to a file that is not there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if EXAMPLE.search(page.read_text("utf-8"))],
    ids=lambda page: page.stem,
)
def test_examples_run(page: Path, product: Product, wire: Wire, tmp_path: Path) -> None:
    """What a page shows works when it is pasted, in the order of the page."""
    examples = EXAMPLE.findall(page.read_text("utf-8"))
    bin_folder = Path(sys.executable).parent
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TEACHBACK_")},
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "TEACHBACK_URL": product.url,
        "TEACHBACK_KEY": wire.key,
        "TEACHBACK_SPOOL_DIR": str(tmp_path / "spool"),
        "TEACHBACK_DATA_DIR": str(product.data_dir),
    }
    for script in _scripts(examples):
        done = subprocess.run(
            script, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script[-1]}\n{done.stdout}\n{done.stderr}"


def _scripts(examples: list[tuple[str, str]]) -> Iterator[list[str]]:
    """The bash examples one by one, and all Python of a page as one program."""
    for language, code in examples:
        if language == "bash":
            yield ["bash", "-euo", "pipefail", "-c", code]
    together = "\n".join(code for language, code in examples if language == "python")
    if together:
        yield [sys.executable, "-W", "error", "-c", together]


def test_every_field_of_the_filter_language_is_documented() -> None:
    """With its type and its choices."""
    page = (DOCS / "reference" / "filters.md").read_text()
    for field in FIELDS.values():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{field.name}` |"))
        assert f"| {field.type} |" in line
        assert all(f"`{choice}`" in line for choice in field.choices)
    assert all(f"`{alias}`" in page for alias in ALIASES)
