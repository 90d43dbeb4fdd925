"""History and live visitors reach the product through its public doors."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import Server
from teachback.demo.api import Api
from teachback.demo.run import Live, Prepared, prepare
from teachback.errors import Unavailable


def test_a_new_project_is_filled_with_a_month(server: Server, tmp_path: Path) -> None:
    """Everything told is stored, at its own time, and nothing is refused."""
    said: list[tuple[str, float]] = []
    prepared = prepare(
        server.url,
        server.secret_key,
        visits=60,
        spool_dir=tmp_path,
        on_progress=lambda text, share: said.append((text, share)),
    )
    api = Api(server.url, server.secret_key)
    traces, feedback = api.list("/v1/traces", limit=200), api.list("/v1/feedback", limit=200)
    sessions = api.list("/v1/sessions", limit=200)
    api.close()
    assert (len(traces), len(sessions)) == (prepared.traces, prepared.visits)
    superseded_or_withdrawn = prepared.feedback - len(feedback)
    assert 0 <= superseded_or_withdrawn <= 4
    assert {each["negative"] for each in feedback} == {True, False}
    assert Counter(each["matched"] for each in feedback if each.get("trace_id")).keys() == {True}
    oldest = datetime.fromisoformat(traces[-1]["started_at"])
    assert timedelta(days=25) < datetime.now(UTC) - oldest < timedelta(days=31)
    assert said[-1] == ("history is ready", 1.0)
    assert [share for _, share in said] == sorted(share for _, share in said)


def test_a_project_in_use_is_left_as_it_is(server: Server, tmp_path: Path) -> None:
    """A second start replays nothing."""
    prepare(server.url, server.secret_key, visits=3, spool_dir=tmp_path)
    assert prepare(server.url, server.secret_key, visits=3, spool_dir=tmp_path) == Prepared()


def test_visitors_come_until_they_are_stopped(server: Server, tmp_path: Path) -> None:
    """Live visitors are traced at the time it is now; stopping is quick."""
    live = Live(server.url, server.secret_key, pace_s=0.05, speed=2000, spool_dir=tmp_path).start()
    api = Api(server.url, server.secret_key)
    deadline = time.monotonic() + 20
    while not (traces := api.list("/v1/traces")) and time.monotonic() < deadline:
        time.sleep(0.1)
    live.stop()
    api.close()
    assert traces
    age = datetime.now(UTC) - datetime.fromisoformat(traces[0]["started_at"])
    assert age < timedelta(minutes=1)


def test_a_server_that_is_away_is_named() -> None:
    """Preparing says what is wrong instead of waiting for ever."""
    with pytest.raises(Unavailable, match="does not answer"):
        prepare("http://127.0.0.1:9", "tb_sk_x_y")
