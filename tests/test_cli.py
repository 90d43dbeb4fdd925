"""The command line as people use it: real processes, real data directories."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from teachback.bench.product import COMMAND, scratch

PATTERN = r"(tb_sk_[0-9a-f]{12}_[0-9a-f]{64})"


class Command:
    """`teachback` in an environment that says nothing about us."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def environment(self, **settings: str) -> dict[str, str]:
        ours = ("TEACHBACK_", "DATABASE_URL", "OPENAI_")
        bare = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return bare | {"TEACHBACK_DATA_DIR": str(self.data_dir)} | settings

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *words], env=self.environment(**settings), capture_output=True,
            text=True, check=False, timeout=100,
        )  # fmt: skip

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """The process of `teachback serve --port 0`, and what it said until it answered."""
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--port", "0", *words], env=self.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process, _said_until(process, "answers at", "sign in once")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stderr:
                process.stderr.close()


def _said_until(process: subprocess.Popen[str], *words: str) -> str:
    """Read lines until all words were said; a dead process says no more."""
    said = ""
    assert process.stderr is not None
    while not all(word in said for word in words):
        line = process.stderr.readline()
        if not line:
            break
        said += line
    return said


@pytest.fixture(scope="module")
def command() -> Iterator[Command]:
    """One installation for the commands that leave it whole; a server keeps its database up."""
    with scratch() as folder:
        command = Command(folder / "data")
        with command.serving() as (process, said):
            assert "answers at" in said
            yield command
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_first_start_says_all_that_is_needed_and_stops_cleanly() -> None:
    """Address, first key and a link that works, on a port of its own; SIGTERM leaves nothing."""
    with scratch() as folder:
        command = Command(folder / "data")
        with command.serving() as (process, said):
            url = re.findall(r"answers at (http://127\.0\.0\.1:\d+)", said)[0]
            key = re.findall(PATTERN, said)[0]
            link = re.findall(r"sign in once.*?(http\S+)", said)[0]
            with httpx2.Client(headers={"authorization": f"Bearer {key}"}) as client:
                assert client.get(f"{url}/v1/traces").json()["data"] == []
                assert "server" not in client.get(f"{url}/healthz").headers
            assert link.startswith(f"{url}/login/")
            assert httpx2.post(link).status_code == 303
            assert (command.data_dir / "secret.key").stat().st_mode & 0o077 == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in {0, -signal.SIGTERM}
            _assert_no_postgres(command.data_dir)
        again = command.run("keys", "list", "--json")
        assert [one["name"] for one in json.loads(again.stdout)] == ["first"]
        assert key not in again.stdout + again.stderr
        _assert_no_postgres(command.data_dir)


def _assert_no_postgres(data_dir: Path) -> None:
    """Nothing runs on the data directory, at once or within a moment."""
    deadline = time.monotonic() + 5
    while (left := _processes_on(data_dir)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def _processes_on(data_dir: Path) -> list[str]:
    lines = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    return [line for line in lines if str(data_dir) in line]


def test_two_first_starts_at_once_make_one_installation() -> None:
    """Both answer; there is one project with one first key, and one of them has shown it."""
    with scratch() as folder:
        command = Command(folder / "data")
        starts = [
            subprocess.Popen([str(COMMAND), "keys", "list", "--json"], env=command.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]  # fmt: skip
        answers = [start.communicate(timeout=100) for start in starts]
        assert [start.returncode for start in starts] == [0, 0, 0], answers
        names = [[key["id"] for key in json.loads(said)] for said, _ in answers]
        assert names[0] == names[1] == names[2]
        assert len(names[0]) == 1


def test_keys_are_made_listed_and_revoked(command: Command) -> None:
    """The key is printed once, alone on standard output; a revoked one stays listed."""
    made = command.run("keys", "create", "my server")
    assert re.fullmatch(PATTERN + "\n", made.stdout)
    key_id = made.stdout.split("_")[2]
    public = json.loads(command.run("keys", "create", "page", "--public", "--json").stdout)
    assert public["secret"].startswith("tb_pk_")
    assert command.run("keys", "revoke", key_id).returncode == 0
    listed = {one["id"]: one for one in json.loads(command.run("keys", "list", "--json").stdout)}
    assert (listed[key_id]["name"], listed[key_id]["kind"]) == ("my server", "secret")
    assert listed[key_id]["revoked_at"]
    assert not listed[public["id"]]["revoked_at"]
    assert "my server" in command.run("keys", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["keys", "revoke", "nothing"],
        ["keys", "list", "--project", "nothing"],
        ["keys", "create", "--project", "00000000-0000-7000-8000-000000000000"],
    ],
)
def test_mistake_is_one_message(command: Command, words: list[str]) -> None:
    """No traceback, and a status that scripts can see."""
    answer = command.run(*words)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert answer.stderr.strip()


def test_login_prints_a_link(command: Command) -> None:
    """Alone on standard output, so that it can be piped to a browser."""
    assert re.fullmatch(r"http://\S+/login/[\w-]{43}\n", command.run("login").stdout)


def test_migrate_says_when_there_is_nothing_to_do(command: Command) -> None:
    """Harmless beside a running server."""
    answer = command.run("migrate")
    assert (answer.returncode, answer.stdout) == (0, "The schema is up to date.\n")


def test_doctor_finds_nothing_wrong(command: Command) -> None:
    """Everything is looked at, and is in order."""
    answer = command.run("doctor", "--json")
    found = {finding["name"]: finding["ok"] for finding in json.loads(answer.stdout)}
    expected = dict.fromkeys(
        ["python", "settings", "upstreams", "disk", "database", "schema"], True
    )
    assert (found, answer.returncode) == (expected, 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"TEACHBACK_PROT": "1"}, "TEACHBACK_PROT is no setting"),
        ({"TEACHBACK_PORT": "x"}, "TEACHBACK_PORT"),
        ({"DATABASE_URL": "what is this"}, "DATABASE_URL is no address"),
        ({"TEACHBACK_UPSTREAMS": "[x]"}, "x.url: an address"),
    ],
)
def test_doctor_and_server_say_what_is_wrong(
    command: Command, settings: dict[str, str], told: str
) -> None:
    """One message that names the setting, status 1 or 2, and no traceback."""
    examined, started = command.run("doctor", **settings), command.run("serve", **settings)
    for answer in (examined, started):
        assert told in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
    assert (examined.returncode, started.returncode) == (1, 2)


def test_password_of_a_wrong_address_is_not_printed(command: Command) -> None:
    """The parser of addresses quotes what it cannot read: not here."""
    answer = command.run("serve", DATABASE_URL="postgres//alice:hush-hush@db/x")
    assert answer.returncode == 2
    assert "hush" not in answer.stdout + answer.stderr


def test_taken_port_is_one_message(command: Command) -> None:
    """Which port, and how to choose another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = command.run("serve", "--port", port)
    assert answer.returncode == 2
    assert port in answer.stderr
    assert "TEACHBACK_PORT" in answer.stderr


def test_help_names_every_command() -> None:
    """What there is to do, on one screen."""
    said = subprocess.run([str(COMMAND), "--help"], capture_output=True, text=True, check=True)
    for name in ("serve", "worker", "demo", "keys", "login", "migrate", "doctor", "bench"):
        assert name in said.stdout
