"""Putting metrics and traces together, and what a server needs of them."""

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
    """What is measured of calls and queries.

    Args:
        settings: Say whether and where.
        database: Whose pool and kills are told.
        stack: Ends all of it.
        worker: This process's number among several.

    Attributes:
        metrics_port: Where metrics are served; None where they are not.
        calls: Sums over running and ended calls.
        metrics: The service's own metrics.
        grpc_metrics: The metrics that gRPC servers have in common.
        tracer: Makes the spans.
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
        """Tell of a server's health and its stalled calls too."""
        self.metrics.watch_server(health, stalls)

    def observe(self, session: Session) -> Session:
        """Return the same session, with each query measured for the running call."""
        return ObservedSession(
            session, current_call_stats(), self.metrics.query_seconds, self.tracer, self._engine
        )


def _own_address(address: str, worker: int) -> str:
    """Return the address of one worker: each has its own numbers, so its own port."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + worker if int(port) else 0}"
