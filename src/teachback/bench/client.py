"""Starts the load client as a process of its own and talks with it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator

from teachback.bench.load import Plan, Result
from teachback.errors import SetupError


class Client:
    """A load client that has made its bodies and waits for the word."""

    def __init__(self, process: subprocess.Popen[str], plan: Plan) -> None:
        self.process = process
        self._ask(json.dumps(dataclasses.asdict(plan)))
        #: Bytes of all bodies.
        self.bytes = int(str(self.answer()["ready"]))

    def begin(self) -> None:
        """Let it send everything once; ask for the `result` later."""
        self._ask("go")

    def result(self) -> Result:
        """Wait until it has sent everything."""
        return Result(**self.answer())  # type: ignore[arg-type]

    def send(self) -> Result:
        """Send everything, or from the second time on what was acknowledged, and wait."""
        self.begin()
        return self.result()

    def answer(self) -> dict[str, object]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SetupError("the load client ended early; its error is above")
        return dict(json.loads(line))

    def _ask(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def client(plan: Plan) -> Iterator[Client]:
    """Start a load client for a plan; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "teachback.bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Client(process, plan)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
