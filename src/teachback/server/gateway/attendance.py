"""Notice that a client has left, and stop what is done for it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive


class ClientGone(Exception):
    """Nobody is there any more to take the answer."""


class Attendance:
    """Cancels what is inside when the client leaves, and raises ClientGone instead."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # a request is answered in a task
        self._task = task
        self._watch = asyncio.create_task(self._wait())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._watch.cancel()
        if self._gone and kind is asyncio.CancelledError and self._task.uncancel() <= 0:
            raise ClientGone from error

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
