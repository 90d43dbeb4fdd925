"""Projects take turns: nobody waits behind thousands of another, nothing is lost or reordered."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachback.record.fair_queue import QUANTUM, FairQueue

LIMIT = 1_000
#: The most records that one request may hold.
LARGEST = 1_000


@dataclass(frozen=True)
class Request:
    project: str
    number: int
    size: int


def _queue(requests: list[Request]) -> FairQueue[Request]:
    queue: FairQueue[Request] = FairQueue()
    for request in requests:
        queue.put(request, project_id=request.project, size=request.size)
    return queue


def _groups(requests: list[Request]) -> list[list[Request]]:
    """Take everything that waits, group by group."""
    queue = _queue(requests)
    groups: list[list[Request]] = []

    async def drain() -> None:
        while sum(map(len, groups)) < len(requests):
            groups.append(await queue.take(LIMIT))

    asyncio.run(drain())
    return groups


sent = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, LARGEST)), max_size=60).map(
    lambda pairs: [Request(project, i, size) for i, (project, size) in enumerate(pairs)]
)


@given(sent)
def test_everything_is_taken_once_and_in_order_when_projects_mix(requests: list[Request]) -> None:
    """Each request once, those of one project as they came, no group empty or much too large."""
    groups = _groups(requests)
    taken = [request for group in groups for request in group]
    assert sorted(taken, key=lambda request: request.number) == requests
    for project in "abc":
        own = [request for request in requests if request.project == project]
        assert [request for request in taken if request.project == project] == own
    sizes = [sum(request.size for request in group) for group in groups]
    assert all(0 < size < LIMIT + QUANTUM + LARGEST for size in sizes)


@given(sent)
def test_projects_are_served_alike_while_all_of_them_wait(requests: list[Request]) -> None:
    """No project gets ahead of another by more than a turn and a request, while both wait."""
    left = Counter({one: sum(r.size for r in requests if r.project == one) for one in "abc"})
    waiting = [project for project in "abc" if left[project]]
    served: Counter[str] = Counter()
    for request in [request for group in _groups(requests) for request in group]:
        served[request.project] += request.size
        if any(served[project] == left[project] for project in waiting):
            break  # one has nothing left: what follows is not shared among all
        apart = max(served[one] for one in waiting) - min(served[one] for one in waiting)
        assert apart <= QUANTUM + LARGEST


def test_small_project_is_in_the_next_group_when_another_has_thousands() -> None:
    """However the greedy one sends, in single records or in thousands."""
    for size in (1, 7, 1_000):
        greedy = [Request("greedy", i, size) for i in range(5_000 // size)]
        groups = _groups([*greedy, Request("small", 0, 1)])
        taken = [request.project for group in groups[:2] for request in group]
        assert "small" in taken[: LIMIT + 1]


@pytest.mark.anyio
async def test_taker_waits_when_nothing_is_there() -> None:
    """An empty queue holds its taker until something comes, again and again."""
    queue: FairQueue[int] = FairQueue()
    for number in range(3):
        taker = asyncio.ensure_future(queue.take(LIMIT))
        await asyncio.sleep(0.01)
        assert not taker.done()
        queue.put(number, project_id="a", size=1)
        assert await taker == [number]
