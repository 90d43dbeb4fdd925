"""What all calls through the gateway share, made once per process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from teachback.llm.upstream import Patience, UpstreamClient
from teachback.recall.inject import Injector
from teachback.record.writer import Writer
from teachback.server import problems
from teachback.server.bodies import MIB
from teachback.server.gateway.exchange import Exchange
from teachback.server.gateway.recorder import Recorder
from teachback.server.gateway.upstreams import Upstreams
from teachback.server.metrics import Metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayOptions:
    """What is configured of the gateway."""

    upstreams: Upstreams = field(default_factory=Upstreams)
    patience: Patience = field(default_factory=Patience)
    #: Where traces wait for the database; in memory when absent.
    spool: Path | None = None
    spool_bytes: int = 256 * MIB
    #: Largest body of a call.
    body_limit: int = 32 * MIB


class Gateway:
    """Upstreams, connections to them, lessons, and the recorder of traces."""

    def __init__(
        self, options: GatewayOptions, writer: Writer, injector: Injector, metrics: Metrics
    ) -> None:
        """Open connections as they are needed; to be made inside the event loop."""
        self.upstreams = options.upstreams
        self.body_limit = options.body_limit
        self.metrics = metrics
        self.injector = injector
        #: Upstreams that refuse a stream which is asked for its usage.
        self.without_usage: set[str] = set()
        self.client = UpstreamClient(options.patience)
        self._recorder = Recorder(
            writer, metrics, folder=options.spool, max_bytes=options.spool_bytes
        )

    async def start(self) -> None:
        """Begin to store traces."""
        await self._recorder.start()

    async def stop(self) -> None:
        """Store what waits, and close the connections."""
        await self._recorder.stop()
        await self.client.close()

    def keep(self, project_id: str, exchange: Exchange) -> None:
        """Record a call; its answer passes even when that fails."""
        try:
            self._recorder.put(project_id, exchange.record())
        except Exception as error:
            problems.log_bug(error)
            self.metrics.gateway_dropped.labels("unrenderable").inc()
