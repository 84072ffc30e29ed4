"""Spans, sent by OTLP over gRPC. The context comes from the caller's W3C `traceparent`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from userstream_server.version import VERSION

__all__ = ["caller_context", "open_tracer"]

_log = structlog.get_logger()
_EXPORT_SECONDS = 3.0
"""An unreachable collector delays the end of the process by about this long."""
_FIELDS = ("traceparent", "tracestate")
_propagator = TraceContextTextMapPropagator()


@contextmanager
def open_tracer(endpoint: str, *, worker: int | None) -> Iterator[Tracer]:
    """Yield a tracer for a `with` block; the last spans are sent at its end.

    Args:
        endpoint: `http://host:port` of a collector, or `https://`; empty for a tracer that does nothing.
        worker: This worker's number; None without workers.
    """
    if not endpoint:
        yield NoOpTracer()
        return
    _bring_into_our_log(logging.getLogger("opentelemetry"))
    # The SDK adds OTEL_RESOURCE_ATTRIBUTES, and takes OTEL_TRACES_SAMPLER.
    resource = {"service.name": "userstream-server", "service.version": VERSION}
    if worker is not None:
        resource["service.instance.id"] = f"worker-{worker}"
    provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer("userstream", VERSION)
    finally:
        provider.shutdown()


def caller_context(metadata: Any) -> Context:
    """Return the trace context in a call's metadata, or an empty context."""
    carrier = {key: value for key, value in metadata if key in _FIELDS and isinstance(value, str)}
    return _propagator.extract(carrier, Context())


class _OneLine(logging.Handler):
    """Logs that the exporter has a problem in our format, without the exporter's text."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning("telemetry_problem", source=record.name)


def _bring_into_our_log(logger: logging.Logger) -> None:
    logger.handlers = [_OneLine()]
    logger.propagate = False
    # The exporter retries by itself; only a lasting problem is worth a line.
    logger.setLevel(logging.ERROR)
