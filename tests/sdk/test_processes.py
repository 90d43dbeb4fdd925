"""Processes that fork and processes that are killed (rows R07, R09)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdk.conftest import KEY, MakeClient
from sdk.stub import Answer, Stub

#: The matrix asks for 500 forks and 200 kills.
FORKS = int(os.environ.get("TEACHBACK_TEST_FORKS", "20"))
KILLS = int(os.environ.get("TEACHBACK_TEST_KILLS", "5"))

#: Forks again and again; each child records and leaves in one of the ways children do.
FORKING = f"""
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which this is about
import teachback
url, spool, forks = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = teachback.Client(url, "{KEY}", spool_dir=spool)
client.trace("parent 0").end()
client.flush()
for number in range(1, forks + 1):
    client.trace(f"parent {{number}}").end()
    child = os.fork()
    if child == 0:
        client.trace(f"child {{number}}").end()
        if number % 2:
            ok = client.flush(timeout_s=20)
            os._exit(0 if ok else 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the child could not deliver"
client.close(timeout_s=30)
"""


def test_each_record_arrives_once_when_a_process_forks(stub: Stub, tmp_path: Path) -> None:
    """A child sends its own records, never its parent's, also when it leaves at once (R07)."""
    command = [sys.executable, "-c", FORKING, stub.url, str(tmp_path), str(FORKS)]
    subprocess.run(command, check=True, timeout=60 + FORKS)
    expected = {f"parent {n}" for n in range(FORKS + 1)} | {f"child {n + 1}" for n in range(FORKS)}
    assert sorted(t["query"] for t in stub.records("trace")) == sorted(expected)
    assert set(stub.arrivals.values()) == {1}


#: Says each id after its call has returned, which is the promise.
RECORDING = f"""
import sys, teachback
client = teachback.Client(sys.argv[1], "{KEY}", spool_dir=sys.argv[2])
while True:
    trace = client.trace("q " * 50)
    trace.end()
    print(trace.id, flush=True)
"""


def test_every_returned_call_arrives_when_the_process_is_killed(
    make_client: MakeClient, stub: Stub, tmp_path: Path
) -> None:
    """What a call returned for is delivered by the next start, and stored once (R09)."""
    draw = random.Random(2)
    stub.rule = lambda _: Answer(200) if draw.random() < 0.7 else Answer(503)
    promised: set[str] = set()
    for _ in range(KILLS):
        command = [sys.executable, "-c", RECORDING, stub.url, str(tmp_path / "spool")]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            promised.add(process.stdout.readline().strip())
            time.sleep(draw.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split("\n")
        promised |= {line for line in lines[:-1] if line}
    stub.rule = lambda _: Answer(200)
    client = make_client()
    assert client.flush(timeout_s=60)
    assert promised <= stub.stored.keys()
    assert client.dropped.keys() <= {("corrupt", "unknown")}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_records_arrive_later_when_a_signal_ends_the_process(
    make_client: MakeClient, stub: Stub, tmp_path: Path, how: signal.Signals
) -> None:
    """A process that a signal ends does so at once; nothing of it is lost (R08)."""
    stub.rule = lambda _: Answer(503, {"Retry-After": "3600"})
    command = [sys.executable, "-c", RECORDING, stub.url, str(tmp_path / "spool")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        promised = {process.stdout.readline().strip() for _ in range(200)}
        started = time.monotonic()
        process.send_signal(how)
        process.stdout.read()
        process.wait(timeout=10)
    assert time.monotonic() - started < 3
    stub.rule = lambda _: Answer(200)
    assert make_client().flush(timeout_s=30)
    assert promised <= stub.stored.keys()
