"""The metrics that every gRPC server of the world has, from gRPC's own plugin.

Names: https://grpc.io/docs/guides/opentelemetry-metrics/
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from opentelemetry.metrics import MeterProvider

from userstream_server.health import SERVICE_NAME
from userstream_server.telemetry.calls import METHODS

__all__ = ["official_metrics"]

_log = structlog.get_logger()
_HEALTH = ("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch")
_KNOWN = {*_HEALTH, *(f"{SERVICE_NAME}/{name}" for name in METHODS)}
"""Everything else, which callers may make up, is counted as `other`."""


@contextmanager
def official_metrics(provider: MeterProvider) -> Iterator[None]:
    """Count the calls of all servers made in the block, where the plugin is to be had: on Linux."""
    try:
        from grpc_observability import OpenTelemetryPlugin  # noqa: PLC0415
    except ImportError:
        _log.warning("no_grpc_metrics", message="grpcio-observability is not installed here.")
        yield
        return
    plugin = OpenTelemetryPlugin(
        meter_provider=provider, generic_method_attribute_filter=_KNOWN.__contains__
    )
    plugin.register_global()
    try:
        yield
    finally:
        # Without this the process never ends.
        plugin.deregister_global()
