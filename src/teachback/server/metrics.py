"""What the process counts, for Prometheus; no id and no content ever becomes a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


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

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)
