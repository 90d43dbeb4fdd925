"""Assignment is balanced, sticks, and is the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachback.core.assign import HOLD_BACK, HOLDOUT, assign, bucket, in_canary, in_holdout, unit_of
from teachback.model.recall import Ask, Rules

RULES = Rules()
UNITS = 20_000


@given(st.text(), st.text(), st.text())
def test_bucket_lies_in_the_unit_interval(salt: str, layer: str, unit: str) -> None:
    """Whatever the names are, lone surrogates too; and asked again it is the same."""
    assert 0 <= bucket(salt, layer, unit) < 1
    assert bucket(salt, layer, unit) == bucket(salt, layer, unit)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("salt", ["p-1", "p-2"])
def test_share_is_what_was_asked_for(share: float, salt: str) -> None:
    """Of twenty thousand, within four standard deviations; so in every tenth of them."""
    inside = [bucket(salt, HOLDOUT, f"user:{number}") < share for number in range(UNITS)]
    for part in [inside, *[inside[start::10] for start in range(10)]]:
        spread = (share * (1 - share) / len(part)) ** 0.5
        assert abs(sum(part) / len(part) - share) < 4 * spread


def test_layers_and_projects_do_not_depend_on_each_other() -> None:
    """Being in one says nothing about the other: the joint share is the product."""
    users = [f"user:{number}" for number in range(UNITS)]
    first = {user for user in users if bucket("p", HOLDOUT, user) < 0.5}
    for other in (
        {user for user in users if bucket("p", HOLD_BACK, user) < 0.5},
        {user for user in users if bucket("q", HOLDOUT, user) < 0.5},
        {user for user in users if bucket("p", "canary:l", user) < 0.5},
    ):
        assert abs(len(first & other) / UNITS - 0.25) < 4 * (0.25 * 0.75 / UNITS) ** 0.5


@given(st.text(min_size=1), st.text(), st.text())
def test_end_user_stays_where_they_are(user: str, session: str, trace: str) -> None:
    """Sessions, requests, models and words change; the holdout and the canaries do not."""
    one = Ask(query="q", user_id=user)
    other = Ask(query="x", user_id=user, session_id=session, trace_id=trace, model="m", locale="de")
    assert in_holdout("p", one, RULES) == in_holdout("p", other, RULES)
    assert in_canary("p", one, RULES, "l") == in_canary("p", other, RULES, "l")


def test_unit_is_the_end_user_then_the_session_then_the_request() -> None:
    """And the three are never taken for each other."""
    ask = Ask(query="q", user_id="a", session_id="a", trace_id="a")
    units = [unit_of(ask), unit_of(replace(ask, user_id=None)),
             unit_of(replace(ask, user_id=None, session_id=None))]  # fmt: skip
    assert units == ["user:a", "session:a", "trace:a"]


def test_request_that_is_made_again_gets_the_same() -> None:
    """The hold-back is drawn by the trace, with its propensity beside it."""
    drawn = [
        assign("p", Ask(query="q", user_id="u-3", trace_id=f"t-{n}"), RULES) for n in range(5_000)
    ]
    again = [
        assign("p", Ask(query="q", user_id="u-3", trace_id=f"t-{n}"), RULES) for n in range(5_000)
    ]
    assert drawn == again
    assert {propensity for _, propensity in drawn} == {0.9}
    given_share = sum(variant == "injected" for variant, _ in drawn) / len(drawn)
    assert abs(given_share - 0.9) < 4 * (0.09 / len(drawn)) ** 0.5


def test_holdout_grows_around_those_in_it() -> None:
    """A larger share keeps everyone who was in the smaller one."""
    asks = [Ask(query="q", user_id=f"u-{number}") for number in range(2_000)]
    small = {ask.user_id for ask in asks if in_holdout("p", ask, Rules(holdout=0.05))}
    large = {ask.user_id for ask in asks if in_holdout("p", ask, Rules(holdout=0.1))}
    assert small < large


def test_holdout_never_gets_anything() -> None:
    """Nobody in it has a chance above nothing."""
    user = next(n for n in range(1_000) if bucket("p", HOLDOUT, f"user:{n}") < RULES.holdout)
    for trace in range(200):
        ask = Ask(query="q", user_id=str(user), trace_id=str(trace))
        assert assign("p", ask, RULES) == ("holdout", 0.0)


def test_other_processes_decide_alike() -> None:
    """Hashes of ours, not Python's, which differ from one process to the next."""
    code = "from teachback.core.assign import bucket; print(bucket('p', 'holdout', 'user:ä'))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(ran.stdout) == bucket("p", HOLDOUT, "user:ä")


def test_buckets_are_what_they_were() -> None:
    """A changed hash would move every end user: experiments under way would be void."""
    assert [round(bucket("p", HOLDOUT, f"user:{n}"), 12) for n in range(3)] == EXPECTED


EXPECTED = [0.729912729448, 0.326623376617, 0.826501639049]
