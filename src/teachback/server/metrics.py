"""What the process counts, for Prometheus; no id and no content ever becomes a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from teachback.core.decide import Outcome
from teachback.store.vitals import Vitals

UNKNOWN = float("nan")


class Metrics:
    """Counters of one process; each way to lose a record increments exactly one of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "teachback_records_accepted_total", "Records stored.", ["object"],
            registry=self.registry,
        )  # fmt: skip
        self.duplicates = Counter(
            "teachback_records_duplicate_total", "Records that were there already.", ["object"],
            registry=self.registry,
        )  # fmt: skip
        self.rejected = Counter(
            "teachback_records_rejected_total", "Records refused, by type of error.",
            ["object", "reason"], registry=self.registry,
        )  # fmt: skip
        self.dropped = Counter(
            "teachback_client_dropped_total", "Records that clients report as lost before sending.",
            ["object", "reason"], registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "teachback_records_waiting", "Records waiting for the shared commit.",
            registry=self.registry,
        )  # fmt: skip
        self.write_seconds = Histogram(
            "teachback_write_seconds", "Time from a decoded request to its commit.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5), registry=self.registry,
        )  # fmt: skip

        self.pool_wait = Counter(
            "teachback_pool_wait_seconds_total", "Time requests waited for a database connection.",
            registry=self.registry,
        )  # fmt: skip
        self.jobs_failed = self._gauge("jobs_failed", "Background jobs that have given up.")
        self.oldest_job = self._gauge(
            "job_oldest_waiting_seconds", "How long the job waits that is due for longest."
        )
        self.search_waiting = self._gauge(
            "search_waiting", "Marks of exchanges that search does not know yet."
        )
        self.trends_waiting = self._gauge(
            "trends_waiting", "Marks of hours that trends have not summed up yet."
        )
        self.vectors_waiting = self._gauge(
            "vectors_waiting", "Exchanges whose vectors are out of date."
        )
        self.database_bytes = self._gauge("database_bytes", "Size of the database on disk.")
        self.wal_bytes = self._gauge("wal_bytes", "Size of the write-ahead log on disk.")
        self._add_recall()
        self._add_gateway()

    def _add_recall(self) -> None:
        self.injections = Counter(
            "teachback_inject_total", "Requests that asked for lessons, by what became of them.",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self.inject_seconds = Histogram(
            "teachback_inject_seconds", "Time a request waited for lessons.",
            buckets=(0.001, 0.002, 0.003, 0.005, 0.008, 0.015, 0.025, 0.05, 0.25),
            registry=self.registry,
        )  # fmt: skip
        self.injections_lost = Counter(
            "teachback_injections_lost_total", "Injections that could not be recorded.",
            registry=self.registry,
        )  # fmt: skip
        self.live_lessons = self._gauge("live_lessons", "Lessons in this process's memory.")

    def _add_gateway(self) -> None:
        self.gateway_calls = self._counter(
            "gateway_calls", "Calls through the gateway, by what became of them.", "outcome"
        )
        self.gateway_unplaced = Counter(
            "teachback_gateway_unplaced_total",
            "Calls whose bodies had no place for the lessons chosen for them.",
            registry=self.registry,
        )
        self.gateway_dropped = self._counter(
            "gateway_dropped", "Traces of calls that could not be kept.", "reason"
        )
        self.gateway_waiting = self._gauge(
            "gateway_waiting", "Traces of this process's calls that are not stored yet."
        )

    def _counter(self, name: str, meaning: str, label: str) -> Counter:
        return Counter(f"teachback_{name}_total", meaning, [label], registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"teachback_{name}", meaning, registry=self.registry)

    def injected(self, outcome: Outcome, seconds: float) -> None:
        """Count a request that asked for lessons."""
        self.injections.labels(outcome).inc()
        self.inject_seconds.observe(seconds)

    def set_vitals(self, vitals: Vitals | None) -> None:
        """Show the database's figures; what is not known is NaN, never an old figure."""
        self.jobs_failed.set(vitals.jobs_failed if vitals else UNKNOWN)
        self.oldest_job.set(vitals.oldest_job_s if vitals else UNKNOWN)
        self.search_waiting.set(vitals.search_waiting if vitals else UNKNOWN)
        self.trends_waiting.set(vitals.trends_waiting if vitals else UNKNOWN)
        self.vectors_waiting.set(vitals.vectors_waiting if vitals else UNKNOWN)
        self.database_bytes.set(vitals.database_bytes if vitals else UNKNOWN)
        wal = vitals.wal_bytes if vitals else None
        self.wal_bytes.set(UNKNOWN if wal is None else wal)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)
