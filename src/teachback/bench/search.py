"""The suite `search`: how fast what was recorded is found, narrowed and followed over time."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from teachback.bench.client import client
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
#: Longest the worker may take to work off what a load left, in seconds.
BACKLOG_S = 3_600
CONDITIONS = (
    "role:admin", "role:owner,guest", "surface:web", "surface:mail", "locale:de", "-locale:en",
    "env:test", f"model:{MODELS[1]}", "release:r-3",
)  # fmt: skip


def run(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure on a growing store: 100,000 exchanges, then a million, then five."""
    sizes = (20_000, 50_000) if quick else (100_000, 1_000_000, 5_000_000)
    with scratch() as folder, running(folder / "search") as product:
        stored = 0
        figures: list[Figure] = []
        for size, names in zip(sizes, ("100k", "1m", "5m"), strict=False):
            _fill(product, stored, size, progress)
            # A load lasts longer than the server keeps an idle connection.
            asker = Asker(product)
            drained = _work_off(asker, progress)
            stored = size
            figures += _measure(asker, names, stored, drained, progress)
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


def _fill(product: Product, there: int, wanted: int, progress: Progress) -> None:
    for begin in range(there, wanted, PART):
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


def _work_off(asker: Asker, progress: Progress) -> Backlog:
    begun = time.monotonic()
    first = left = asker.waiting()
    while left:
        if time.monotonic() - begun > BACKLOG_S:
            raise RuntimeError(f"the worker has left {left:,} marks after {BACKLOG_S} s")
        progress(f"the worker has {left:,} marks to work off")
        time.sleep(2)
        left = asker.waiting()
    return Backlog(first, time.monotonic() - begun)


def _measure(
    asker: Asker, name: str, stored: int, backlog: Backlog, progress: Progress
) -> list[Figure]:
    left = f"{stored:,} exchanges; {backlog.marks:,} marks worked off in {backlog.seconds:,.0f} s"
    trend = _p95(asker, f"trend_{name}_p95_ms", _trends, progress, note=left)
    if name == "100k":
        return [trend, _p95(asker, "search_100k_p95_ms", _searches, progress, note=left, target=40)]
    if name == "1m":
        return [
            _with_target(trend, 100),
            _p95(asker, "explorer_1m_p95_ms", lambda draw: _pages(asker, draw), progress,
                 note=left, target=150),
        ]  # fmt: skip
    return [_with_target(trend, 150)]


def _with_target(figure: Figure, target: float) -> Figure:
    return Figure(**{**figure.__dict__, "target": target})


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
            [draw.choice(CONDITIONS), draw.choice(("kind:rating", "negative:yes", ""))]
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
