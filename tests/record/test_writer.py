"""The shared commit keeps neighbours apart, and tells the truth when the database is away."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from teachback.errors import Invalid, Overloaded, Unavailable
from teachback.record import writer as writer_module
from teachback.record.accept import Item
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.writer import Writer
from teachback.store.database import Database
from teachback.store.traces import get_trace
from tests_support import rating, trace

pytestmark = pytest.mark.anyio


@pytest.fixture
async def intake(db: Database) -> Intake:
    project = await make_project(db, "x")
    return Intake(project=project, token=None, now=datetime.now(UTC))


async def test_poison_item_is_found_among_a_thousand(db: Database, intake: Intake) -> None:
    """What only the database refuses is reported to its sender; 999 neighbours are stored."""
    writer = Writer(db)
    await writer.start()
    items = [intake.trace(json.dumps(trace(f"t-{i}")).encode()) for i in range(1000)]
    # No rule of ours lets this through; a rule that is missing one day would look like it.
    poison = replace(items[617].trace, turn=2**40)
    items[617] = replace(items[617], trace=poison)
    answers = await writer.write(items)
    assert isinstance(answers[617], Invalid)
    assert [answer for i, answer in enumerate(answers) if i != 617] == ["stored"] * 999
    await writer.stop()


async def test_requests_that_wait_together_get_their_own_answers(
    db: Database, intake: Intake
) -> None:
    """A hundred concurrent senders of the same record: one stores it, all learn that it is kept."""
    writer = Writer(db)
    await writer.start()
    raw = json.dumps(trace("t-1")).encode()
    outcomes = await asyncio.gather(*[writer.write([intake.trace(raw)]) for _ in range(100)])
    assert sorted(str(outcome[0]) for outcome in outcomes) == ["duplicate"] * 99 + ["stored"]
    await writer.stop()


async def test_too_much_waiting_is_refused(
    db: Database, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is bounded: beyond it the sender is told to come back."""
    monkeypatch.setattr(writer_module, "MAX_WAITING", 2)
    writer = Writer(db)  # not started: nothing leaves the queue
    first = asyncio.ensure_future(
        writer.write([intake.trace(json.dumps(trace(f"t-{i}")).encode()) for i in range(2)])
    )
    await asyncio.sleep(0)
    other = replace(intake, project=await make_project(db, "y"))
    with pytest.raises(Unavailable) as error:
        await writer.write([other.trace(json.dumps(trace("t-9")).encode())])
    assert (error.value.type, error.value.retry_after_s > 0) == ("unavailable", True)
    first.cancel()


async def test_project_is_refused_alone_when_its_part_of_the_queue_is_full(
    db: Database, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of the queue is one project's; the others do not notice."""
    monkeypatch.setattr(writer_module, "MAX_WAITING", 8)
    writer = Writer(db)
    other = replace(intake, project=await make_project(db, "y"))
    greedy = [
        asyncio.ensure_future(writer.write([intake.trace(json.dumps(trace(f"t-{i}")).encode())]))
        for i in range(2)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as error:
        await writer.write([intake.trace(json.dumps(trace("t-9")).encode())])
    assert error.value.retry_after_s > 0
    small = asyncio.ensure_future(writer.write([other.trace(json.dumps(trace("t-1")).encode())]))
    await asyncio.sleep(0)
    await writer.start()
    assert await asyncio.gather(*greedy, small) == [["stored"]] * 3
    assert await writer.write([intake.trace(json.dumps(trace("t-9")).encode())]) == ["stored"]
    await writer.stop()


async def test_lost_connections_are_replaced(db: Database, intake: Intake) -> None:
    """Connections that the server closed are noticed, and the records stored all the same."""
    writer = Writer(db)
    await writer.start()
    for round_ in range(3):
        await db.run(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        raw = json.dumps(trace(f"t-{round_}")).encode()
        assert await writer.write([intake.trace(raw)]) == ["stored"]
        assert (await get_trace(db, intake.project.id, f"t-{round_}")).query
    await writer.stop()


async def test_away_database_is_said_within_a_second(db: Database, intake: Intake) -> None:
    """Nothing is acknowledged, and nobody waits long for the news."""
    away = Database("postgresql://nobody@127.0.0.1:1/none", max_size=2)
    await away.pool.open(wait=False)
    writer = Writer(away)
    await writer.start()
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await writer.write([intake.trace(json.dumps(trace("t-1")).encode())])
    assert asyncio.get_running_loop().time() - started < 5  # generous: the bar is 1 s
    await writer.stop()
    await away.close()


async def test_feedback_and_trace_of_one_batch_meet(db: Database, intake: Intake) -> None:
    """Feedback given with its trace is matched at once."""
    writer = Writer(db)
    await writer.start()
    items: list[Item] = [
        intake.feedback(json.dumps(rating("t-1", 0)).encode()),
        intake.trace(json.dumps(trace("t-1")).encode()),
        intake.feedback(json.dumps(rating("t-2", 0)).encode()),
    ]
    assert await writer.write(items) == ["stored"] * 3
    rows = await db.all("select trace_id, matched from feedback order by trace_id")
    assert rows == [{"trace_id": "t-1", "matched": True}, {"trace_id": "t-2", "matched": False}]
    await writer.stop()
