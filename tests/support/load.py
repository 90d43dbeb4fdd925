"""Many clients at once, each with the key of a project."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2

from support.wire import trace


@dataclass(frozen=True)
class Sent:
    """One request with many records, and its answer."""

    key: str
    ids: list[str]
    status: int
    retry_after_s: int


async def send_batches(
    url: str, keys: list[str], *, batches: int, records: int, meanwhile: Any
) -> list[Sent]:
    """Send this many requests for each key, all at once; await `meanwhile` beside them.

    Key by key, so that the first ones fill their own part before all together fill the whole.
    """
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        sending = [_send(client, key, records) for key in keys for _ in range(batches)]
        answers, _ = await asyncio.gather(asyncio.gather(*sending), meanwhile)
        return list(answers)


async def _send(client: httpx2.AsyncClient, key: str, records: int) -> Sent:
    made = [trace() for _ in range(records)]
    headers = {"authorization": f"Bearer {key}"}
    answer = await client.post("/v1/traces", json={"data": made}, headers=headers)
    retry_after_s = int(answer.headers.get("retry-after", 0))
    return Sent(key, [one["id"] for one in made], answer.status_code, retry_after_s)
