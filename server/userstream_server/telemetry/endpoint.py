"""The Prometheus endpoint: an HTTP server that returns the current metrics."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, start_http_server

__all__ = ["metrics_endpoint"]

# From https://github.com/grpc/proposal/blob/master/A66-otel-stats.md; the SDK's default buckets are for milliseconds.
_CALL_SECONDS = (
    0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008,
    0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4,
    0.5, 0.65, 0.8, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
)  # fmt: skip
_MESSAGE_BYTES = (0.0, *(float(2**power) for power in (10, 11, 12, *range(14, 34, 2))))


class _OneAtATime(CollectorRegistry):
    """Serializes scrapes: two at once would share the reader's single list of results, and one would get nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._scraping = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._scraping:
            yield from list(super().collect())


@contextmanager
def metrics_endpoint(address: str) -> Iterator[tuple[MeterProvider, int]]:
    """Serve the metrics of a new meter provider for a `with` block.

    Args:
        address: `host:port`; port 0 takes a free one.

    Yields:
        The provider and the port.

    Raises:
        OSError: The port is in use.
    """
    registry = _OneAtATime()
    ProcessCollector(registry=registry)  # memory, CPU time and open files
    reader = PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    provider = MeterProvider([reader], Resource.get_empty(), shutdown_on_exit=False, views=_views())
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        provider.shutdown()
        raise OSError(
            f"cannot serve metrics on {address}: {error.strerror}; set USERSTREAM_METRICS_LISTEN to a free port"
        ) from None
    try:
        yield provider, server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        provider.shutdown()


def _views() -> list[View]:
    seconds = ExplicitBucketHistogramAggregation(_CALL_SECONDS)
    sizes = ExplicitBucketHistogramAggregation(_MESSAGE_BYTES)
    return [
        View(instrument_name="grpc.server.call.duration", aggregation=seconds),
        View(instrument_name="grpc.server.call.*_message_size", aggregation=sizes),
    ]
