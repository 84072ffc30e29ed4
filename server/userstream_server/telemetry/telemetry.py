"""Metrics and traces together, as the server uses them."""

from contextlib import ExitStack

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider

from userstream_server.call_stats import current_call_stats
from userstream_server.databases.database import Database
from userstream_server.rows.session import Session
from userstream_server.settings import ServerSettings
from userstream_server.telemetry.calls import RunningCalls
from userstream_server.telemetry.endpoint import metrics_endpoint
from userstream_server.telemetry.grpc_metrics import GrpcMetrics
from userstream_server.telemetry.metrics import Metrics, ServingState, StallState
from userstream_server.telemetry.session import ObservedSession
from userstream_server.telemetry.traces import open_tracer
from userstream_server.version import VERSION

__all__ = ["Telemetry"]


class Telemetry:
    """Measures calls and queries.

    Args:
        settings: Say what is on, and the addresses.
        database: The database whose pool and kills are reported.
        stack: Closes everything at its end.
        worker: This worker's number; None without workers.

    Attributes:
        metrics_port: The port of the metrics endpoint; None without one.
        calls: Totals over running and finished calls.
        metrics: The service's own metrics.
        grpc_metrics: The metrics that all gRPC servers share.
        tracer: Creates the spans.
    """

    def __init__(
        self, settings: ServerSettings, database: Database, stack: ExitStack, *, worker: int | None
    ) -> None:
        self.metrics_port: int | None = None
        provider: MeterProvider = NoOpMeterProvider()
        if settings.metrics_listen:
            address = _own_address(settings.metrics_listen, worker or 0)
            provider, self.metrics_port = stack.enter_context(metrics_endpoint(address))
        self.calls = RunningCalls()
        meter = provider.get_meter("userstream", VERSION)
        self.metrics = Metrics(meter, self.calls)
        self.grpc_metrics = GrpcMetrics(meter)
        self.metrics.watch_database(database)
        self.tracer = stack.enter_context(open_tracer(settings.otlp_endpoint, worker=worker))
        self._engine = database.driver.engine

    def watch_server(self, health: ServingState, stalls: StallState) -> None:
        """Report a server's health and stalled calls too."""
        self.metrics.watch_server(health, stalls)

    def observe(self, session: Session) -> Session:
        """Return a session that measures each query for the running call."""
        return ObservedSession(
            session, current_call_stats(), self.metrics.query_seconds, self.tracer, self._engine
        )


def _own_address(address: str, worker: int) -> str:
    """Return a worker's address; each worker has its own metrics and therefore its own port."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + worker if int(port) else 0}"
