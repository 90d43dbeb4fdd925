"""The suite `ingest`: how fast, how small and how safe recording is."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from teachback.bench import sdk_calls
from teachback.bench.client import client
from teachback.bench.kills import VICTIMS, kill_runs
from teachback.bench.load import Plan, Result
from teachback.bench.product import Product, close, running, scratch
from teachback.bench.progress import Progress
from teachback.bench.records import batches
from teachback.bench.report import Figure, over_runs

BATCH = 100
#: What a record is made of: a trace and one feedback on it.
ITEMS = 2
BATCH_CONNECTIONS = 6
SINGLE_CONNECTIONS = 32


@dataclasses.dataclass(frozen=True)
class Shape:
    """How a load is spread."""

    connections: int
    requests: int
    #: Records in each request.
    size: int


def run(*, quick: bool, progress: Progress) -> list[Figure]:
    """Measure every figure of recording on a fresh installation."""
    with scratch() as folder:
        return [
            *starts(folder, runs=2 if quick else 5, progress=progress),
            *throughput(folder / "load", quick=quick, progress=progress),
            *sdk_calls.figures(folder / "sdk", quick=quick, progress=progress),
            lost(folder / "kills", count=20 if quick else 200, progress=progress),
        ]


def starts(folder: Path, *, runs: int, progress: Progress) -> list[Figure]:
    """Measure from the command to the first accepted record, without and with a data directory."""
    progress("starting the product")
    first: list[float] = []
    cold: list[float] = []
    for number in range(runs):
        product = Product(folder / f"start-{number}")
        first.append(_start(product))
        cold.append(_start(product))
    return [
        _timed("first_start_s", first, 6, "no data directory; the first key is made on the way"),
        _timed("cold_start_s", cold, 3, "data directory and key exist; caches of the system warm"),
    ]


def _start(product: Product) -> float:
    record = next(batches(1, 1, seed=time.monotonic_ns()))
    begun = time.monotonic()
    try:
        product.start()
        product.wait("/readyz")
        status, body = product.post("/v1/batch", record)
        seconds = time.monotonic() - begun
        if status != 200:
            raise RuntimeError(f"the first record was refused with {status}: {body[:300]!r}")
    finally:
        close(product)
    return seconds


def _timed(name: str, values: list[float], target: float, note: str) -> Figure:
    value, low, high = over_runs(values)
    return Figure(
        name=name, value=value, unit="s", n=len(values), low=low, high=high,
        target=target, better="lower", note=note,
    )  # fmt: skip


def throughput(data_dir: Path, *, quick: bool, progress: Progress) -> list[Figure]:
    """Measure idle memory, then batches and single records, then what they take on disk."""
    with running(data_dir) as product:
        product.key()
        time.sleep(2 if quick else 10)  # what starting left behind is done
        memory = product.memory_mb()
        processes = len(product.pids())
    empty = product.disk_bytes()
    runs = 2 if quick else 5
    with running(data_dir) as product:
        batch = [
            _load(product, progress, seed, Shape(BATCH_CONNECTIONS, 150 if quick else 600, BATCH))
            for seed in range(runs)
        ]
        single = [
            _load(
                product,
                progress,
                100 + seed,
                Shape(SINGLE_CONNECTIONS, 4_000 if quick else 20_000, 1),
            )
            for seed in range(runs)
        ]
    records = sum(result.stored for result in batch + single) // ITEMS
    return [
        *_batch_figures(batch),
        *_single_figures(single),
        Figure(
            name="disk_bytes_per_record", value=(product.disk_bytes() - empty) / records, unit="B",
            n=records, target=3_500, better="lower", reference=3_000, source="Phoenix 20.26, span",
            note="growth of the data directory over a clean stop, without the write-ahead log; "
            "trace, feedback, contents, sessions and all indexes",
        ),
        Figure(
            name="idle_memory_mb", value=memory, unit="MB", n=processes, target=400,
            better="lower", reference=427, source="Phoenix 20.26, RSS",
            note="proportional set size of all processes: server, worker, PostgreSQL",
        ),
    ]  # fmt: skip


def _load(product: Product, progress: Progress, seed: int, shape: Shape) -> Result:
    progress(
        f"{shape.requests:,} requests of {shape.size} records over {shape.connections} connections"
    )
    plan = Plan(port=product.port, key=product.key(), seed=seed, **dataclasses.asdict(shape))
    with client(plan) as load:
        result = load.send()
    if result.failed or result.rejected:
        raise RuntimeError(f"{result.failed} requests failed: {result.trouble}")
    return result


def _batch_figures(results: list[Result]) -> list[Figure]:
    value, low, high = over_runs([result.stored / ITEMS / result.seconds for result in results])
    size = sum(result.bytes_sent for result in results) / sum(
        result.stored // ITEMS for result in results
    )
    return [
        Figure(
            name="ingest_batch_records_per_s", value=value, unit="/s", n=len(results), low=low,
            high=high, target=6_000, reference=333, source="MLflow 3.17",
            note=f"durable: acknowledged after commit; POST /v1/batch of {BATCH} records (a trace "
            f"and one feedback, {size:,.0f} bytes together), {BATCH_CONNECTIONS} connections, "
            "server and client on the same cores",
        )
    ]  # fmt: skip


def _single_figures(results: list[Result]) -> list[Figure]:
    rate, low, high = over_runs([len(result.latencies_ms) / result.seconds for result in results])
    slowest = [result.latencies_ms[int(len(result.latencies_ms) * 0.99)] for result in results]
    p99, p99_low, p99_high = over_runs(slowest)
    note = (
        "POST /v1/batch with one trace and one feedback, "
        f"{SINGLE_CONNECTIONS} connections, each sending as soon as it is answered"
    )
    return [
        Figure(
            name="ingest_single_requests_per_s", value=rate, unit="/s", n=len(results), low=low,
            high=high, target=2_000, reference=284, source="Phoenix 20.26, not durable", note=note,
        ),
        Figure(
            name="ingest_single_p99_ms", value=p99, unit="ms", n=len(results), low=p99_low,
            high=p99_high, target=50, better="lower", reference=17, source="MLflow 3.17, c1",
        ),
    ]  # fmt: skip


def lost(data_dir: Path, *, count: int, progress: Progress) -> Figure:
    """Count acknowledged records that are gone after kills under load."""
    runs = []
    for number, one in enumerate(kill_runs(data_dir, count, seed=7), start=1):
        progress(
            f"kill {number} of {count} ({one.victim}): {one.acknowledged // ITEMS:,} acknowledged"
        )
        runs.append(one)
    acknowledged = sum(one.acknowledged for one in runs) // ITEMS
    met = sum(one.failed > 0 for one in runs)
    slowest = max(one.recovery_s for one in runs)
    return Figure(
        name="acknowledged_lost", value=sum(one.lost for one in runs), unit="items",
        n=acknowledged, target=0, better="lower", reference=131_418,
        source="NATS 2.12.1 of 930,005, Jepsen, power loss",
        note=f"SIGKILL in turn to {', '.join(VICTIMS)}: {count} kills, {met} of them cut requests "
        f"off; ready again after at most {slowest:.1f} s",
    )  # fmt: skip
