"""Run the command line as a person does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: The command beside the interpreter that runs the tests.
TEACHBACK = Path(sys.executable).parent / "teachback"


def teachback(*words: str | Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run a command against a server; its status is the test's to judge."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TEACHBACK_")}
    return subprocess.run(
        [str(word) for word in (TEACHBACK, *words)],
        env=own | {"TEACHBACK_URL": url, "TEACHBACK_KEY": key, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
