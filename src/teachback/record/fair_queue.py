"""Requests that wait for the shared commit, taken from the projects in turn.

Deficit round robin (Shreedhar and Varghese 1995): at its turn a project gets credit for a number of
records and sends what the credit covers, in the order of arrival; what is left is kept while it
waits. So a record never waits behind thousands of another project's, however they were sent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Records a project may send in one turn: ten busy projects share one commit.
QUANTUM = 100


@dataclass(slots=True)
class _Entry(Generic[T]):
    request: T
    #: How many records it holds.
    size: int


@dataclass(slots=True)
class _Lane(Generic[T]):
    """What one project has waiting."""

    entries: deque[_Entry[T]] = field(default_factory=deque)
    #: Records it may still send.
    credit: int = 0


class FairQueue(Generic[T]):
    """Keeps requests by project until they are taken."""

    def __init__(self) -> None:
        #: By project, in the order of their turns; none is empty.
        self._lanes: OrderedDict[str, _Lane[T]] = OrderedDict()
        self._filled = asyncio.Event()

    def put(self, request: T, *, project_id: str, size: int) -> None:
        """Add a request of `size` records; a project that had none waiting is the last in turn."""
        self._lanes.setdefault(project_id, _Lane()).entries.append(_Entry(request, size))
        self._filled.set()

    async def take(self, limit: int) -> list[T]:
        """Wait until there are requests; return those of whole turns up to about `limit` records.

        The last turn may pass the limit by a turn's credit and the largest request.
        """
        await self._filled.wait()
        taken: list[T] = []
        size = 0
        while self._lanes and size < limit:
            for entry in self._turn():
                taken.append(entry.request)
                size += entry.size
        if not self._lanes:
            self._filled.clear()
        return taken

    def _turn(self) -> list[_Entry[T]]:
        """Take what the next project's credit covers: nothing, when its request is larger."""
        project_id, lane = self._lanes.popitem(last=False)
        lane.credit += QUANTUM
        sent: list[_Entry[T]] = []
        while lane.entries and lane.entries[0].size <= lane.credit:
            sent.append(lane.entries.popleft())
            lane.credit -= sent[-1].size
        if lane.entries:
            self._lanes[project_id] = lane
        return sent
