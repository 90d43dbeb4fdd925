"""The rules of the house that a machine can check: sizes, directions, words."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import vulture

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "teachback"
TESTS = ROOT / "tests"
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60

#: Who may read settings: the ends of the import graph.
EDGES = {"cli", "showcase", "boot", "doctor", "config", "server", "worker", "demo", "bench"}
#: Packages that only an extra installs: imported where they are used, or at an edge.
OPTIONAL = {"openai", "anthropic", "langchain_core", "daft", "ray", "torch", "trl", "transformers",
            "pyarrow"}  # fmt: skip
#: The plain install is the SDK; what the extra `server` brings may be imported late by the CLI,
#: so that `teachback --help` and a missing extra answer at once.
LATE_IMPORTERS = {"cli"}
#: Methods that asyncio, httptools and LangChain call by their names.
CALLED_BY_LIBRARIES = {"connection_made", "data_received", "connection_lost", "on_body",
                       "on_header", "on_message_complete", "wrap_model_call", "awrap_model_call",
                       "_get_relevant_documents", "_aget_relevant_documents"}  # fmt: skip
WEB_FRAMEWORKS = {"fastapi", "starlette", "uvicorn", "jinja2"}
#: A statement of SQL, not a sentence that happens to contain one of its verbs.
SQL = re.compile(
    r"^\s*(select\b.+\bfrom\b|select\s+[\w.]+\(|insert\s+into\b|update\s+\w+\s+set\b"
    r"|delete\s+from\b|(create|alter|drop)\s+(unlogged\s+)?(table|index|extension|database|role)\b"
    r"|copy\s+\w+\s*\(|with\s+\w+\s+as\b|truncate\b|vacuum\b|listen\b|notify\b)",
    re.IGNORECASE | re.DOTALL,
)


def _files(folder: Path = SOURCE) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "node_modules" not in path.parts)


def _stage(path: Path) -> str:
    """The folder or file below teachback/ that a source file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_files_stay_short() -> None:
    """Nobody has to scroll far: no file is longer than 500 lines."""
    tracked = (*_files(), *_files(TESTS), *(ROOT / "web").rglob("*.ts"))
    long = {
        _where(path, lines): lines
        for path in tracked
        if "node_modules" not in path.parts
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert long == {}


def test_functions_stay_short() -> None:
    """A function fits one screen: no function is longer than 60 lines."""
    long = {
        f"{_where(path, node.lineno)} {node.name}": size
        for path in (*_files(), *_files(TESTS))
        for node in _functions(_tree(path))
        if (size := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a docstring."""
    assert [str(path) for path in _files() if not ast.get_docstring(_tree(path))] == []


def test_sql_stands_in_the_store_only() -> None:
    """Storage can be read, indexed and changed in one folder."""
    found = [
        _where(path, node.lineno)
        for path in _files()
        if _stage(path) != "store"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert found == []


def test_web_framework_stays_at_the_edge() -> None:
    """Only the server, what starts it, and the demo's own pages know which framework serves."""
    found = [
        f"{_where(path, line)} {name}"
        for path in _files()
        if _stage(path) not in {"boot", "showcase", "server", "demo"}
        for line, name in _imports(_tree(path))
        if name.split(".")[0] in WEB_FRAMEWORKS
    ]
    assert found == []


def test_environment_is_read_in_one_place() -> None:
    """Every setting has one home: config.py for the server, sdk/settings.py in applications."""
    homes = {SOURCE / "config.py", SOURCE / "sdk" / "settings.py"}
    found = [
        _where(path, node.lineno)
        for path in _files()
        if path not in homes
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
        and (getattr(node, "attr", None) or getattr(node, "id", None)) in {"environ", "getenv"}
    ]
    assert found == []


def test_settings_are_read_by_the_edges_only() -> None:
    """Stages get what they need as arguments."""
    found = [
        f"{_where(path, line)} {name}"
        for path in _files()
        if _stage(path) not in EDGES
        for line, name in _imports(_tree(path))
        if name.startswith("teachback.config")
    ]
    assert found == []


def test_imports_stand_at_the_top() -> None:
    """An import inside a function is for what an extra installs, and for nothing else."""
    found = [
        f"{_where(path, line)} {name}"
        for path in _files()
        if _stage(path) not in LATE_IMPORTERS
        for function in _functions(_tree(path))
        for line, name in _imports(function)
        if name.split(".")[0] not in OPTIONAL
    ]
    assert found == []


def test_dead_code_is_taken_out() -> None:
    """Whatever nobody calls, not even a test or a template, is gone."""
    finder = vulture.Vulture(ignore_decorators=["@*.*", "@overload", "@property"])
    finder.scavenge([str(SOURCE), str(TESTS)])
    mentioned = _words_in_templates()
    found = [
        f"{item.filename}:{item.first_lineno} {item.typ} {item.name}"
        for item in finder.get_unused_code(min_confidence=60)
        if item.typ in {"function", "class", "method", "import", "unreachable_code"}
        and str(item.filename).startswith(str(SOURCE))
        and item.name not in mentioned | CALLED_BY_LIBRARIES
    ]
    assert found == []


def _words_in_templates() -> set[str]:
    pages = (*SOURCE.rglob("*.html"), *SOURCE.rglob("*.jinja"))
    return {word for page in pages for word in re.findall(r"\w+", page.read_text("utf-8"))}


def _tracked_text() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".woff2", ".onnx", ".npy", ".ico", ".gz"}:
            yield name, path.read_text(encoding="utf-8", errors="replace")


def test_nothing_names_a_machine() -> None:
    """The repository runs anywhere: it names no one's folders and no package host."""
    # Written in two parts, so that this file does not find itself.
    words = re.compile(
        r"(^|[^\w.-])/(wo"
        r"rk|fa"
        r"rm|ro"
        r"ot|ho"
        r"me)/\w"
        r"|https?://[a-z.]*(np"
        r"mjs|py"
        r"pi|pythonho"
        r"sted|deb"
        r"ian)[a-z]*\.(org|com|net)",
        re.MULTILINE,
    )
    found = [
        f"{name}: {match.group().strip()}"
        for name, text in _tracked_text()
        if (match := words.search(text))
    ]
    assert found == []
