"""The names an application imports, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import teachback
import teachback.sdk


def test_public_names_agree_when_listed() -> None:
    """`teachback` offers what `teachback.sdk` lists, and nothing else."""
    assert sorted(teachback.__all__) == sorted(teachback.sdk.__all__)
    for name in teachback.__all__:
        assert getattr(teachback, name) is getattr(teachback.sdk, name)


def test_unknown_name_is_an_attribute_error_when_asked_for() -> None:
    """A misspelt import fails as it does for any module."""
    with pytest.raises(AttributeError, match="Cleint"):
        teachback.__getattr__("Cleint")


def test_import_is_light_when_only_the_sdk_is_used() -> None:
    """An application with the SDK loads no server, no database driver, no numpy, no openai."""
    code = "import sys, teachback; teachback.Client; print(*{m.split('.')[0] for m in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"fastapi", "starlette", "uvicorn", "psycopg", "procrastinate", "pydantic", "numpy"}
    assert heavy.isdisjoint(ran.stdout.split())
    assert "openai" not in ran.stdout.split()


def test_sdk_stays_unloaded_when_only_the_package_is_imported() -> None:
    """The server, which shares the package, does not pay for the client."""
    code = "import sys, teachback.errors; print('teachback.sdk' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
