"""The suite `search`: how fast what was recorded is found, narrowed and followed over time."""

from __future__ import annotations

import http.client
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from teachback.bench.client import client
from teachback.bench.fill import fill
from teachback.bench.load import Plan
from teachback.bench.product import Product, running, scratch
from teachback.bench.progress import Progress
from teachback.bench.records import MODELS, rare_words
from teachback.bench.report import Figure

DAYS = 90
#: Records in one load: its bodies are made before they are sent.
PART = 50_000
BATCH = 100
#: Questions behind each figure, every one different.
QUESTIONS = 200
#: The product rests when it uses less than this share of a processor for so many seconds.
RESTING, LOOK_S = 0.2, 2.0
#: Longest the worker may take to work off what a load left, in seconds.
BACKLOG_S = 3_600
CONDITIONS = (
    "role:admin", "role:owner,guest", "surface:web", "surface:mail", "locale:de", "-locale:en",
    "env:test", f"model:{MODELS[1]}", "release:r-3", "prompt:support",
)  # fmt: skip
#: What else lists are narrowed by.
FACTS = (
    *CONDITIONS, "tag:vip", "meta.channel:web", "reason:tone", "user:u-17", "latency:>3000",
    "has:comment",
)  # fmt: skip


def run(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure on a growing store: 100,000 exchanges, then a million, then five."""
    found, followed, largest = (20_000, 50_000, 0) if quick else (100_000, 1_000_000, 5_000_000)
    with scratch() as folder:
        data_dir = folder / "search"
        figures = _found(data_dir, found, progress)
        figures += _followed(data_dir, "1m", found, followed, progress)
        if largest:
            figures += _followed(data_dir, "5m", followed, largest, progress)
    return figures


def _found(data_dir: Path, size: int, progress: Progress) -> list[Figure]:
    """Send records as applications do, and let the worker finish."""
    with running(data_dir) as product:
        _send(product, size, progress)
        # A load lasts longer than the server keeps an idle connection.
        asker = Asker(product)
        backlog = _work_off(asker, product, progress)
        note = (
            f"{size:,} exchanges by HTTP; the worker's {backlog.marks:,} marks worked off in "
            f"{backlog.seconds:,.0f} s, none left"
        )
        return [
            _p95(asker, "search_100k_p95_ms", _searches, progress, note=note, target=40),
            _p95(asker, "trend_100k_p95_ms", _trends, progress, note=note),
        ]


def _followed(data_dir: Path, name: str, there: int, size: int, progress: Progress) -> list[Figure]:
    """Fill the store to a size that HTTP would take an hour for, and measure without a worker."""
    progress(f"{size - there:,} records are written")
    fill(data_dir, size - there, seed=size, days=DAYS)
    with running(data_dir, {"TEACHBACK_WORKER": "false"}) as product:
        asker = Asker(product)
        note = (
            f"{size:,} exchanges, {size - there:,} of them by the product's own writer; trends "
            f"summed up, {asker.waiting():,} marks of documents and vectors left, no worker"
        )
        targets = {"1m": 100.0, "5m": 150.0}
        figures = [
            _p95(asker, f"trend_{name}_p95_ms", _trends, progress, note=note, target=targets[name])
        ]
        if name == "1m":
            figures.append(
                _p95(asker, "explorer_1m_p95_ms", lambda draw: _pages(asker, draw), progress,
                     note=note, target=150)
            )  # fmt: skip
        return figures


@dataclass(frozen=True)
class Backlog:
    """What a load left to the worker, and how long that took."""

    marks: int
    seconds: float


class Asker:
    """Asks the product one question after another over one connection."""

    def __init__(self, product: Product) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=120)
        self._headers = {"Authorization": f"Bearer {product.key()}"}

    def get(self, path: str) -> bytes:
        """Return the body of an answer; a refusal ends the suite."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}: {body[:300]!r}")
        return body

    def timed(self, path: str) -> float:
        """Return how long a question takes, in milliseconds."""
        before = time.perf_counter()
        self.get(path)
        return (time.perf_counter() - before) * 1_000

    def waiting(self) -> int:
        """Return what the worker has not worked off yet."""
        lines = self.get("/metrics").decode().splitlines()
        names = ("teachback_search_", "teachback_trends_", "teachback_vectors_")
        return sum(int(float(line.split()[1])) for line in lines if line.startswith(names))


def _send(product: Product, wanted: int, progress: Progress) -> None:
    for begin in range(0, wanted, PART):
        progress(f"{begin:,} of {wanted:,} records stored")
        count = min(PART, wanted - begin)
        plan = Plan(
            port=product.port, key=product.key(), seed=begin, connections=4,
            requests=count // BATCH, size=BATCH, days=DAYS, limit_s=1_200,
        )  # fmt: skip
        with client(plan) as load:
            result = load.send()
        if result.failed or result.rejected:
            raise RuntimeError(
                f"{result.failed} failed, {result.rejected} refused: {result.trouble}"
            )


def _work_off(asker: Asker, product: Product, progress: Progress) -> Backlog:
    """Wait until nothing is left to do and the product rests: an index may be made at the end."""
    begun = time.monotonic()
    first = left = asker.waiting()
    busy = math.inf
    while left or busy > RESTING:
        if time.monotonic() - begun > BACKLOG_S:
            raise RuntimeError(f"the worker has left {left:,} marks after {BACKLOG_S} s")
        progress(f"the worker has {left:,} marks to work off")
        used = product.cpu_s()
        time.sleep(LOOK_S)
        busy = (product.cpu_s() - used) / LOOK_S
        left = asker.waiting()
    return Backlog(first, time.monotonic() - begun)


def _p95(
    asker: Asker, name: str, questions: Callable[[random.Random], Iterator[str]],
    progress: Progress, *, note: str, target: float | None = None,
) -> Figure:  # fmt: skip
    """Ask every question once; return the 95th percentile, between the median and the worst."""
    progress(name)
    took = sorted(asker.timed(path) for path in questions(random.Random(name)))
    at = int(len(took) * 0.95)
    return Figure(
        name=name, value=took[at], unit="ms", n=len(took), low=took[len(took) // 2], high=took[-1],
        target=target, better="lower", note=f"{note}; low is the median, high the slowest",
    )  # fmt: skip


def _trends(draw: random.Random) -> Iterator[str]:
    """Day by model and reason over 90 days, narrowed by drawn conditions."""
    for _ in range(QUESTIONS):
        yield "/v1/trends?" + urlencode({
            "metric": "reason_share", "by": "model,reason", "step": "day",
            "where": " ".join(draw.sample(CONDITIONS, draw.randrange(3))),
            "since": f"{_day(DAYS + draw.random())}", "until": _day(0),
        })  # fmt: skip


def _searches(draw: random.Random) -> Iterator[str]:
    """Four to ten words of the vocabulary, half of the time with a condition."""
    for _ in range(QUESTIONS):
        condition = draw.choice(CONDITIONS) if draw.random() < 0.5 else ""
        words = rare_words(draw, draw.randint(4, 10))
        yield "/v1/search?" + urlencode({"q": f"{condition} {words}", "limit": 20})


def _pages(asker: Asker, draw: random.Random) -> Iterator[str]:
    """First and hundredth pages of narrowed lists, newest and oldest first."""
    for number in range(QUESTIONS // 4):
        query = " ".join(
            [draw.choice(FACTS), draw.choice((*CONDITIONS, "kind:rating", "negative:yes", ""))]
        )
        first = {"q": query, "limit": 50, "sort": ("newest", "oldest")[number % 2]}
        yield "/v1/feedback?" + urlencode(first)
        cursor = _cursor_of_page(asker, first, 100)
        if cursor:
            yield "/v1/feedback?" + urlencode(first | {"cursor": cursor})


def _cursor_of_page(asker: Asker, query: dict[str, object], page: int) -> str | None:
    """Go on to the cursor that begins a page, by the largest steps there are."""
    cursor: str | None = None
    for _ in range((page - 1) * 50 // 200):
        more = {"cursor": cursor} if cursor else {}
        body = asker.get("/v1/feedback?" + urlencode(query | {"limit": 200} | more))
        cursor = json.loads(body)["next_cursor"]
        if cursor is None:
            return None
    return cursor


def _day(ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago * 86_400))
