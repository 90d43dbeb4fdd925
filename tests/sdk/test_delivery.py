"""Delivery when the server is slow, away, full, or says no (rows R01 to R06, R08, R11, R12)."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sdk.conftest import KEY, MakeClient
from sdk.stub import Answer, Batch, Stub
from teachback import Client, DeliveryError
from teachback.sdk import delivery
from teachback.sdk.queue import MAX_BATCH_BYTES, MAX_MEMORY_BYTES

#: Nothing listens there.
DEAD = "http://127.0.0.1:9"


def send(client: Client, count: int, text: str = "q") -> None:
    for number in range(count):
        client.trace(f"{text} {number}").end()


def test_application_goes_on_when_the_server_is_dead(make_client: MakeClient) -> None:
    """Ten thousand calls raise nothing, and what waits takes disk, not memory (R01)."""
    client = make_client(url=DEAD)
    for number in range(5000):
        with client.trace(f"q {number}") as trace:
            trace.output = "a" * 500
        client.feedback(trace.id).thumbs_down()
    assert client.dropped == {}
    assert client._queue.is_durable
    assert not client.flush(timeout_s=0.1)


def test_everything_arrives_when_the_server_comes_back(make_client: MakeClient, stub: Stub) -> None:
    """An outage delays records and loses none."""
    stub.rule = lambda _: Answer(503)
    client = make_client()
    send(client, 250)
    assert not client.flush(timeout_s=0.2)
    stub.rule = lambda _: Answer(200)
    assert client.flush(timeout_s=10)
    assert len(stub.stored) == 250
    assert max(len(b["traces"]) for b in stub.requests) == 100


def test_application_is_told_when_the_queue_was_full(make_client: MakeClient, stub: Stub) -> None:
    """Losses inside the application's own calls are told from the background thread."""
    errors: list[DeliveryError] = []
    stub.rule = lambda _: Answer(503)
    client = make_client(max_spool_bytes=2000, on_error=errors.append)
    send(client, 50)
    stub.rule = lambda _: Answer(200)
    assert client.flush(timeout_s=10)
    assert {(e.reason, e.kind) for e in errors} == {("queue_full", "trace")}
    assert {("queue_full", "trace"): sum(e.count for e in errors)} == client.dropped


def test_sent_and_reported_make_up_what_was_offered_when_the_queue_is_full(
    make_client: MakeClient, stub: Stub
) -> None:
    """The newest records are dropped, and the server learns exactly how many of each (R02)."""
    stub.rule = lambda _: Answer(503)
    client = make_client(max_spool_bytes=30_000)
    for _ in range(200):
        with client.trace("q") as trace:
            trace.output = "a" * 100
        client.feedback(trace.id).thumbs_up()
    dropped = client.dropped
    assert set(dropped) == {("queue_full", "trace"), ("queue_full", "feedback")}
    stub.rule = lambda _: Answer(200)
    assert client.flush(timeout_s=10)
    assert stub.reported == dropped
    for kind in ("trace", "feedback"):
        assert len(stub.records(kind)) + stub.reported["queue_full", kind] == 200
    assert client.dropped == dropped


def test_room_is_used_again_when_the_full_queue_was_sent(
    make_client: MakeClient, stub: Stub
) -> None:
    """A small spool carries any amount, as long as it is emptied."""
    client = make_client(max_spool_bytes=20_000)
    for _ in range(8):
        send(client, 40)
        assert client.flush(timeout_s=10)
    assert client.dropped == {}
    assert len(stub.stored) == 320


def test_server_is_left_alone_when_it_asks_for_time(make_client: MakeClient, stub: Stub) -> None:
    """After 429 with `Retry-After: 1` a second passes before the next request (R03)."""
    stub.answers = [Answer(429, {"Retry-After": "1"})]
    client = make_client()
    send(client, 1)
    assert client.flush(timeout_s=10)
    assert stub.times[1] - stub.times[0] >= 1.0
    assert len(stub.stored) == 1


@pytest.mark.parametrize("asked", ["1000000000", "soon", "Wed, 01 Jan 2200 00:00:00 GMT", "-1"])
def test_flush_does_not_hurry_when_the_server_asked_for_time(
    make_client: MakeClient, stub: Stub, asked: str
) -> None:
    """Whatever the form of a long `Retry-After`, no call of ours makes an earlier request (R03)."""
    stub.rule = lambda _: Answer(503, {"Retry-After": asked})
    client = make_client()
    send(client, 1)
    assert not client.flush(timeout_s=0.5)
    assert not client.flush(timeout_s=0.5)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("status", [400, 409, 422])
def test_request_is_not_repeated_when_it_was_refused(
    make_client: MakeClient, stub: Stub, status: int
) -> None:
    """A refused request is counted, told once, and never sent again (R04)."""
    errors: list[DeliveryError] = []
    stub.answers = [Answer(status)]
    client = make_client(on_error=errors.append)
    send(client, 3)
    assert client.flush()
    send(client, 1)
    assert client.flush()
    assert [(e.reason, e.kind, e.count) for e in errors] == [("rejected", "trace", 3)]
    assert client.dropped == {("rejected", "trace"): 3}
    assert [len(b["traces"]) for b in stub.requests if b["traces"]] == [3, 1]
    assert stub.reported == {("rejected", "trace"): 3}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_records_are_kept_when_key_or_address_is_wrong(
    make_client: MakeClient, stub: Stub, status: int
) -> None:
    """A refused key is told once and not tried again; the records wait for the next start (R04)."""
    errors: list[DeliveryError] = []
    stub.rule = lambda _: Answer(status)
    client = make_client(on_error=errors.append)
    send(client, 3)
    assert not client.flush(timeout_s=0.5)
    send(client, 3)
    assert not client.flush(timeout_s=0.5)
    client.close()
    assert len(stub.requests) == 1
    assert [e.reason for e in errors] == ["not_found" if status == 404 else "unauthorized"]
    stub.rule = lambda _: Answer(200)
    assert make_client().flush(timeout_s=5)
    assert len(stub.stored) == 6


def test_refused_records_are_told_when_their_neighbours_are_stored(
    make_client: MakeClient, stub: Stub
) -> None:
    """Of a partial success the refused record is named, without its content, and dropped."""
    errors: list[DeliveryError] = []
    body = (
        b'{"data":[{"index":0,"object":"trace","id":"t-1","status":"rejected",'
        b'"error":{"type":"invalid","field":"turn","rule":"at least 1","value":"0"}},'
        b'{"index":1,"object":"trace","id":"t-2","status":"stored"}]}'
    )
    stub.answers = [Answer(207, body=body)]
    client = make_client(on_error=errors.append)
    send(client, 2)
    assert client.flush()
    assert client.dropped == {("rejected", "trace"): 1}
    assert errors == [
        DeliveryError(
            reason="invalid",
            kind="trace",
            record_id="t-1",
            message="the server refused it: turn at least 1",
        )
    ]
    assert "report" not in stub.requests[-1]


@pytest.mark.parametrize(
    "fault", [Answer(408), Answer(429), Answer(500), Answer(502), Answer(504), Answer(reset=True)]
)
def test_request_is_repeated_when_the_fault_may_pass(
    make_client: MakeClient, stub: Stub, fault: Answer
) -> None:
    """Network errors and passing faults are tried again after a pause (R05)."""
    stub.answers = [fault]
    client = make_client()
    send(client, 2)
    assert stub.wait_for(lambda s: len(s.stored) == 2)
    assert len(stub.requests) == 2
    assert stub.times[1] - stub.times[0] >= 0.2


def test_answer_of_a_stranger_is_no_success_when_it_says_200(
    make_client: MakeClient, stub: Stub
) -> None:
    """A login page in between that answers 200 does not make records disappear."""
    stub.answers = [Answer(200, body=b"<html>Please log in</html>")]
    client = make_client()
    send(client, 1)
    assert stub.wait_for(lambda s: len(s.stored) == 1)


def test_batch_is_split_when_the_server_finds_it_too_large(
    make_client: MakeClient, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    """After 413 smaller batches go through; one record too large is dropped by size (R06)."""

    def small_only(batch: Batch) -> Answer:
        size = sum(len(t["query"]) for t in batch["traces"])
        return Answer(413) if size > 5000 else Answer(200)

    stub.rule = small_only
    client = make_client()
    send(client, 20, text="x" * 1000)
    client.trace("secret content " * 1000).end()
    send(client, 20, text="x" * 1000)
    assert client.flush(timeout_s=15)
    assert len(stub.stored) == 40
    assert client.dropped == {("too_large", "trace"): 1}
    assert stub.reported == {("too_large", "trace"): 1}
    assert "bytes are too large" in caplog.text
    assert "secret content" not in caplog.text


def test_record_that_the_server_fails_on_is_isolated_when_it_fails_each_time(
    make_client: MakeClient, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record that always gets 500 is dropped and counted; those beside and behind it arrive."""
    monkeypatch.setattr(delivery, "pause_s", lambda _: 0.01)

    def fails_on_poison(batch: Batch) -> Answer:
        poison = any(t["query"] == "poison" for t in batch["traces"])
        return Answer(500) if poison else Answer(200)

    stub.rule = fails_on_poison
    client = make_client()
    send(client, 5)
    client.trace("poison").end()
    send(client, 5)
    assert client.flush(timeout_s=15)
    assert len(stub.stored) == 10
    assert client.dropped == {("rejected", "trace"): 1}


def test_record_is_dropped_at_once_when_no_batch_could_hold_it(
    tb: Client, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    """A record of several megabytes is counted and logged by size alone (R06)."""
    tb.trace("secret content " * 400_000).end()
    tb.trace("small").end()
    assert tb.flush()
    assert [t["query"] for t in stub.records("trace")] == ["small"]
    assert tb.dropped == {("too_large", "trace"): 1}
    assert "secret content" not in caplog.text


def test_batches_stay_small_when_records_are_large(tb: Client, stub: Stub) -> None:
    """No request is larger than the limit of a batch."""
    send(tb, 8, text="x" * 1_500_000)
    assert tb.flush(timeout_s=20)
    assert len(stub.stored) == 8
    assert max(map(len, stub.bodies)) < MAX_BATCH_BYTES + 1000


AT_EXIT = f"""
import sys, teachback
client = teachback.Client(sys.argv[1], "{KEY}", spool_dir=sys.argv[2], flush_timeout_s=1)
for number in range(1000):
    client.trace(f"q {{number}}").end()
"""


def run_program(url: str, spool: Path) -> float:
    """Run a program that records and ends; return its seconds."""
    started = time.monotonic()
    command = [sys.executable, "-c", AT_EXIT, url, str(spool)]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def test_queue_is_delivered_when_the_program_ends(stub: Stub, tmp_path: Path) -> None:
    """A program that records and ends has delivered a thousand records (R08)."""
    run_program(stub.url, tmp_path)
    assert len(stub.stored) == 1000
    assert list(tmp_path.glob("*/*/*.seg")) == []


def test_program_ends_in_time_when_the_server_hangs(
    stub: Stub, tmp_path: Path, make_client: MakeClient
) -> None:
    """A server that does not answer costs the flush timeout; the next start delivers (R08)."""
    stub.rule = lambda _: Answer(200, delay_s=6)
    quick = run_program(DEAD, tmp_path / "a")
    assert run_program(stub.url, tmp_path / "b") - quick < 1.5
    stub.rule = lambda _: Answer(200)
    assert make_client(spool_dir=tmp_path / "b").flush(timeout_s=10)
    assert len(stub.stored) == 1000


def test_memory_stands_in_when_the_spool_cannot_be_made(
    make_client: MakeClient, stub: Stub, tmp_path: Path
) -> None:
    """Without a usable disk records wait in memory, bounded and counted (R11)."""
    spool = tmp_path / "blocked"
    spool.write_text("a file where a folder should be")
    client = make_client(spool_dir=spool)
    stub.rule = lambda _: Answer(503)
    send(client, 5)
    assert not client._queue.is_durable
    stub.rule = lambda _: Answer(200)
    assert client.flush(timeout_s=10)
    assert len(stub.stored) == 5


DISK_ENDS = f"""
import resource, sys, teachback
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
client = teachback.Client(sys.argv[1], "{KEY}", spool_dir=sys.argv[2])
for number in range(200):
    client.trace(f"q {{number}} " + "x" * 200).end()
print(client.flush(timeout_s=20), client.dropped, client._queue.is_durable)
"""


def test_memory_stands_in_when_the_disk_takes_half_a_record(stub: Stub, tmp_path: Path) -> None:
    """When the disk ends in the middle of a record, that and all later ones still arrive (R11)."""
    command = [sys.executable, "-c", DISK_ENDS, stub.url, str(tmp_path)]
    ran = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert ran.stdout.split("\n")[0] == "True {} True"
    assert "using memory" in ran.stderr
    assert len(stub.stored) == 200


def test_memory_is_bounded_when_there_is_no_spool(make_client: MakeClient) -> None:
    """With the spool switched off a dead server costs a fixed amount of memory."""
    client = make_client(url=DEAD, spool_dir="off")
    send(client, 25, text="x" * 1_000_000)
    kept = MAX_MEMORY_BYTES // 1_000_200
    assert client.dropped == {("queue_full", "trace"): 25 - kept}


def test_server_can_correct_a_wrong_clock_when_it_knows_when_we_sent(
    tb: Client, stub: Stub
) -> None:
    """Each batch carries the time at which it was sent by the clock that made its times (R12)."""
    send(tb, 1)
    tb.flush()
    sent_at = datetime.fromisoformat(stub.requests[0]["sent_at"])
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 60


def test_dead_processes_leave_no_room_when_they_filled_the_disk(
    make_client: MakeClient, stub: Stub, tmp_path: Path
) -> None:
    """A program that crashes and starts again during an outage keeps to its share of the disk."""
    stub.rule = lambda _: Answer(401)
    for _ in range(3):
        client = make_client(max_spool_bytes=20_000)
        client.flush(timeout_s=0.3)
        send(client, 100)
        client.close(timeout_s=0)
    waiting = sum(path.stat().st_size for path in (tmp_path / "spool").rglob("*.seg"))
    assert 10_000 < waiting < 25_000


def test_losses_survive_when_the_process_ends_before_reporting(
    make_client: MakeClient, stub: Stub
) -> None:
    """What was dropped during an outage is reported by the next start."""
    stub.rule = lambda _: Answer(503)
    client = make_client(max_spool_bytes=2000)
    send(client, 50)
    dropped = client.dropped
    client.close()
    stub.rule = lambda _: Answer(200)
    assert make_client().flush(timeout_s=10)
    assert stub.wait_for(lambda s: bool(s.reported))
    assert stub.reported == dropped
    assert len(stub.stored) + sum(dropped.values()) == 50


def test_client_is_quiet_when_it_has_no_address(caplog: pytest.LogCaptureFixture) -> None:
    """Without url and key everything works and nothing is sent; the log says so."""
    client = Client()
    with client.trace("q") as trace:
        trace.output = "a"
    client.feedback(trace.id).thumbs_up()
    assert client.flush()
    client.close()
    assert trace.id


def test_records_after_closing_are_counted_when_they_come(make_client: MakeClient) -> None:
    """A closed client takes nothing more, and says what it did not take."""
    client = make_client()
    client.close()
    client.trace("q").end()
    assert client.dropped == {("shutdown", "trace"): 1}


def test_spool_is_private_when_it_is_made(tb: Client, tmp_path: Path) -> None:
    """Other users of the machine cannot read what waits."""
    send(tb, 1)
    folders = [path for path in (tmp_path / "spool").rglob("*") if path.is_dir()]
    assert folders
    assert {oct(path.stat().st_mode & 0o077) for path in folders} == {"0o0"}
