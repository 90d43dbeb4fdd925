"""What every request asks for is read once, however many ask at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from teachback.errors import Unavailable
from teachback.server.context import Cache

pytestmark = pytest.mark.anyio


class Source:
    """Answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.ready = asyncio.Event()
        self.error: Exception | None = None

    async def read(self) -> str:
        self.asked += 1
        number = self.asked
        await self.ready.wait()
        if self.error:
            raise self.error
        return f"value {number}"


async def test_a_crowd_is_answered_by_one_reading() -> None:
    """A hundred who ask at once, and one afterwards, take one reading."""
    cache, source = Cache[str](), Source()
    asking = [asyncio.create_task(cache.read("k", source.read)) for _ in range(100)]
    await asyncio.sleep(0)
    source.ready.set()
    assert set(await asyncio.gather(*asking)) == {"value 1"}
    assert await cache.read("k", source.read) == "value 1"
    assert source.asked == 1


async def test_an_error_is_told_to_all_and_not_kept() -> None:
    """The next one tries again."""
    cache, source = Cache[str](), Source()
    source.error = Unavailable()
    source.ready.set()
    asking = [asyncio.create_task(cache.read("k", source.read)) for _ in range(3)]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    source.error = None
    assert await cache.read("k", source.read) == "value 2"


async def test_one_who_gives_up_leaves_the_others_their_answer() -> None:
    """A request that is cancelled does not end the reading."""
    cache, source = Cache[str](), Source()
    first = asyncio.create_task(cache.read("k", source.read))
    second = asyncio.create_task(cache.read("k", source.read))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.ready.set()
    assert await second == "value 1"


async def test_what_was_forgotten_meanwhile_is_not_kept() -> None:
    """A key that is revoked while it is read is read anew."""
    cache, source = Cache[str](), Source()
    asking = asyncio.create_task(cache.read("k", source.read))
    await asyncio.sleep(0)
    cache.forget("k")
    source.ready.set()
    assert await asking == "value 1"
    assert await cache.read("k", source.read) == "value 2"
