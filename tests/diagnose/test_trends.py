"""Trends are exact at every moment, and say how sure they are."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from teachback.core.filters import parse
from teachback.diagnose.trends import METRICS, trend
from teachback.errors import Invalid
from teachback.model.project import Project
from teachback.model.trend import Trend, TrendQuery
from teachback.record.access import make_project
from teachback.record.intake import Intake
from teachback.record.writer import Writer
from teachback.store import trends as store
from teachback.store.copy import copy_rows
from teachback.store.database import Database
from teachback.store.feedback import match_waiting
from teachback.store.places import ask_places, read_places
from teachback.store.traces import add_traces

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=4)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SETTLE_S", 0)
    monkeypatch.setattr(store, "PATIENCE", 0)


@dataclass
class Recorder:
    """Writes records as a client's requests do."""

    db: Database
    writer: Writer
    project: Project

    async def write(self, *, traces: list[Any] = [], feedback: list[Any] = []) -> None:  # noqa: B006 - never changed
        intake = Intake(project=self.project, token=None, now=datetime.now(UTC))
        items = [intake.trace(json.dumps(one).encode()) for one in traces] + [
            intake.feedback(json.dumps(one).encode()) for one in feedback
        ]
        assert set(await self.writer.write(items)) <= {"stored", "duplicate"}

    async def trend(self, metric: str, by: str = "", where: str = "", **more: Any) -> Trend:
        query = TrendQuery(
            metric=metric, by=tuple(by.split(",")) if by else (), since=START, until=END,
            where=parse(where).terms, **more,
        )  # fmt: skip
        return await trend(self.db, self.project.id, query)

    async def refresh(self) -> None:
        while await store.refresh(self.db):
            pass


@pytest.fixture
async def recorder(db: Database) -> AsyncIterator[Recorder]:
    writer = Writer(db)
    await writer.start()
    yield Recorder(db, writer, await make_project(db, "x"))
    await writer.stop()


def _trace(name: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {"id": name, "query": "?", "started_at": at.isoformat()} | fields


def _random_trace(draw: random.Random, name: str) -> dict[str, Any]:
    prompt = {"kind": "system_prompt", "name": "p", "version": draw.choice("12"), "content": "x"}
    return _trace(
        name, START + timedelta(minutes=draw.randrange(4 * 24 * 60)),
        request_model=draw.choice(["m-1", "m-2"]), environment=draw.choice(["prod", "test"]),
        role=draw.choice(["admin", "member"]), context=[prompt] if draw.random() < 0.7 else [],
        latency_ms=draw.randrange(4_000) if draw.random() < 0.8 else None,
        error="x" if draw.random() < 0.1 else None,
    )  # fmt: skip


def _random_feedback(draw: random.Random, trace_id: str) -> dict[str, Any]:
    about: dict[str, Any] = {
        "trace_id": trace_id, "author": draw.choice("ab"),
        "occurred_at": (START + timedelta(minutes=draw.randrange(9_000))).isoformat(),
        "source": draw.choice(["end_user", "end_user", "reviewer"]),
    }  # fmt: skip
    if draw.random() < 0.2:
        return about | {"kind": draw.choice(["rating", "reasons"]), "withdrawn": True}
    shapes: list[dict[str, Any]] = [
        {"kind": "rating", "scale": "thumbs", "score": draw.randrange(2)},
        {"kind": "reasons", "labels": draw.sample(["outdated", "tone", "solved"], 2)},
        {"kind": "correction", "correction": "y"},
        {"kind": "implicit", "name": "edit_distance", "score": draw.random()},
    ]
    return about | draw.choice(shapes)


QUESTIONS = [
    *[(metric, by) for metric in METRICS if metric != "reason_share"
      for by in ("", "model,prompt")],
    ("reason_share", "model,reason"),
    ("reason_share", "reason"),
    ("score:edit_distance", "role"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_roll_ups_agree_with_the_plain_scan(recorder: Recorder, seed: int) -> None:
    """After late, corrected, withdrawn and early feedback, refreshed or not, at every moment."""
    draw = random.Random(seed)
    names = [f"t-{n}" for n in range(40)]
    unseen = list(names)
    for _ in range(8):
        arriving = [unseen.pop() for _ in range(draw.randrange(6)) if unseen]
        said = [_random_feedback(draw, draw.choice(names)) for _ in range(draw.randrange(12))]
        await recorder.write(traces=[_random_trace(draw, name) for name in arriving], feedback=said)
        if draw.random() < 0.6:
            await store.refresh(recorder.db)
    step = draw.choice(["hour", "day", "week"])
    rolled = [await recorder.trend(metric, by, step=step) for metric, by in QUESTIONS]
    await recorder.db.run(
        "insert into trend_dirty (project_id, at) "
        "select project_id, date_trunc('hour', started_at, 'UTC') from trace"
    )
    plain = [await recorder.trend(metric, by, step=step) for metric, by in QUESTIONS]
    await recorder.refresh()
    again = [await recorder.trend(metric, by, step=step) for metric, by in QUESTIONS]
    assert _rounded(rolled) == _rounded(plain) == _rounded(again)
    assert any(one.series for one in plain)


def _rounded(found: Any) -> Any:
    """Sums of floats depend on their order in the last digits."""
    if isinstance(found, float):
        return round(found, 6)
    if isinstance(found, list | tuple):
        return [_rounded(one) for one in found]
    if hasattr(found, "__dataclass_fields__"):
        return [_rounded(getattr(found, name)) for name in found.__dataclass_fields__]
    return found


async def test_feedback_that_missed_its_trace_counts_once_they_are_joined(
    recorder: Recorder,
) -> None:
    """Two processes that store the two at one moment leave no hour wrong for good."""
    said = {"id": "f", "trace_id": "t", "kind": "rating", "scale": "thumbs", "score": 0}
    await recorder.write(traces=[_trace("t", START)], feedback=[said])
    # As when neither transaction saw the other.
    await recorder.db.run("update feedback set matched = false")
    await recorder.refresh()
    assert (await recorder.trend("negative_rate")).series[0].total.n == 0
    assert await match_waiting(recorder.db) == 1
    for _ in range(2):
        assert (await recorder.trend("negative_rate")).series[0].total.n == 1
        await recorder.refresh()


async def test_trend_by_the_hour_may_begin_at_any_hour(recorder: Recorder) -> None:
    """The same before and after the hours are summed up, from the middle of a day."""
    hours = [START + timedelta(hours=n) for n in (3, 5, 6, 30)]
    await recorder.write(traces=[_trace(f"t-{n}", at) for n, at in enumerate(hours)])
    await recorder.refresh()
    await recorder.write(traces=[_trace("late", hours[2])])
    for _ in range(2):
        query = TrendQuery(metric="traces", since=hours[1], until=hours[3], step="hour")
        found = await trend(recorder.db, recorder.project.id, query)
        assert [(p.at, p.n) for p in found.series[0].points] == [(hours[1], 1), (hours[2], 2)]
        await recorder.refresh()


async def test_enormous_numbers_hold_nothing_up(recorder: Recorder) -> None:
    """A value whose square does not fit is left out of the mean, and everything else counts."""
    traces = [
        _trace(f"t-{n}", START, latency_ms=at, cost_usd=at) for n, at in enumerate([5, 1e300])
    ]
    said = [
        {"trace_id": f"t-{n}", "kind": "implicit", "name": "dwell", "score": score}
        for n, score in enumerate([5, 1e300])
    ]
    await recorder.write(traces=traces, feedback=said)
    for _ in range(2):
        for metric in ("latency_ms", "cost_usd", "score:dwell"):
            total = (await recorder.trend(metric)).series[0].total
            assert (total.value, total.n) == (5, 1)
        assert (await recorder.trend("traces")).series[0].total.n == 2
        await recorder.refresh()


async def test_busy_hour_is_worked_off_less_often(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took long waits long the next time; another hour does not wait for it."""
    await recorder.write(traces=[_trace("a", START)])
    assert await store.refresh(recorder.db) == 1
    monkeypatch.setattr(store, "PATIENCE", 10**7)
    await recorder.write(traces=[_trace("b", START), _trace("c", START + timedelta(hours=1))])
    assert await store.refresh(recorder.db) == 1
    assert await store.refresh(recorder.db) == 0
    assert (await recorder.trend("traces")).series[0].total.n == 3


async def test_hour_that_is_written_while_it_is_worked_off_stays_dirty(
    recorder: Recorder,
) -> None:
    """A commit that a refresh did not see leaves a mark that the refresh did not take."""
    await recorder.write(traces=[_trace("a", START)])
    intake = Intake(project=recorder.project, token=None, now=datetime.now(UTC))
    late = intake.trace(json.dumps(_trace("b", START)).encode())
    async with recorder.db.transaction() as connection:
        placed = await ask_places(connection, [late.place])
        await add_traces(connection, [late], await read_places(placed), copy_rows)
        await store.mark_dirty(connection, [(recorder.project.id, START)], [])
        assert await store.refresh(recorder.db) == 1
    for left in (1, 0):
        assert (await recorder.trend("traces")).series[0].total.n == 2
        assert await store.refresh(recorder.db) == left


async def test_figures_are_what_was_recorded(recorder: Recorder) -> None:
    """Shares, their intervals, sample sizes, and too little data, worked out by hand."""
    traces = [_trace(f"t-{n}", START + timedelta(hours=n), request_model="m") for n in range(40)]
    said = [
        {"trace_id": f"t-{n}", "kind": "rating", "scale": "thumbs", "score": int(n >= 5),
         "author": "a"} for n in range(20)
    ]  # fmt: skip
    said += [{"trace_id": "t-0", "kind": "reasons", "labels": ["outdated"], "author": "a"}]
    await recorder.write(traces=traces, feedback=said)
    await recorder.refresh()
    total = (await recorder.trend("negative_rate")).series[0].total
    assert (total.value, total.n, total.enough) == (0.25, 20, True)
    assert total.low == pytest.approx(0.112, abs=0.001)  # Wilson, 5 of 20
    assert total.high == pytest.approx(0.469, abs=0.001)
    response = (await recorder.trend("response_rate", step="day")).series[0]
    assert [point.n for point in response.points] == [24, 16]
    assert response.points[1].value == 0
    reason = (await recorder.trend("reason_share", "reason")).series[0]
    assert (reason.key, reason.total.value, reason.total.n) == (("outdated",), 0.05, 20)
    assert (await recorder.trend("latency_ms")).series[0].total.value is None
    assert not (await recorder.trend("traces", where="model:other")).series
    assert (await recorder.trend("traces", where="model:m*")).series[0].total.value == 40


async def test_new_versions_mark_the_trend(recorder: Recorder) -> None:
    """A second version is a change; the first is where everything began."""
    for n, version in enumerate(["1", "2"]):
        prompt = {"kind": "system_prompt", "name": "p", "version": version, "content": version}
        await recorder.write(traces=[_trace(f"t-{n}", START + timedelta(days=n), context=[prompt])])
    marks = (await recorder.trend("traces")).marks
    assert [(mark.kind, mark.name, mark.version) for mark in marks] == [("prompt", "p", "2")]
    assert marks[0].at == START + timedelta(days=1)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"metric": "happiness"}, "a metric is one of"),
        ({"by": ("colour",)}, "at most two of the dimensions"),
        ({"by": ("model", "role", "locale")}, "at most two"),
        ({"metric": "reason_share"}, "Add reason"),
        ({"until": START}, "ends after it begins"),
        ({"until": START + timedelta(days=60), "step": "hour"}, "up to 31 days"),
        ({"where": parse("author:a").terms}, "narrowed by model"),
    ],
)
async def test_question_that_has_no_answer_is_refused(
    recorder: Recorder, fields: dict[str, Any], part: str
) -> None:
    """With the value, the rule and the fix."""
    query: dict[str, Any] = {"metric": "traces", "since": START, "until": END} | fields
    with pytest.raises(Invalid) as caught:
        await trend(recorder.db, recorder.project.id, TrendQuery(**query))
    assert part in caught.value.message


async def test_prompts_without_a_version_are_told_apart_by_their_text(recorder: Recorder) -> None:
    """By the same name as in the list of changes."""
    for n, text in enumerate(["Be kind.", "Be brief."]):
        prompt = {"kind": "system_prompt", "name": "p", "content": text}
        await recorder.write(traces=[_trace(f"t-{n}", START, context=[prompt])])
    found = {one.key[0] for one in (await recorder.trend("traces", "prompt")).series}
    seen = await recorder.db.all(
        "select name || '@' || version as prompt from version where project_id = %s",
        (recorder.project.id,),
    )
    assert found == {row["prompt"] for row in seen}
    assert len(found) == 2
    assert len((await recorder.trend("traces", "prompt", where="prompt:p")).series) == 2
