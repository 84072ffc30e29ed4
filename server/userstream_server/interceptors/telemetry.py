"""Metrics and a span around every call of the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import structlog
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from userstream_server.call_stats import CallStats, current_call_stats
from userstream_server.interceptors.base import (
    Call,
    CallInterceptor,
    MessageHook,
    call_status,
)
from userstream_server.telemetry.calls import RunningCalls
from userstream_server.telemetry.grpc_metrics import GrpcMetrics
from userstream_server.telemetry.metrics import Metrics
from userstream_server.telemetry.traces import caller_context
from userstream_server.version import SERVICE_NAME

__all__ = ["TelemetryInterceptor"]

_OUR_FAULT = {
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip
"""OpenTelemetry's convention: the statuses that make a server's span an error."""


class _MessageCounter(MessageHook):
    """Counts one call's messages and bytes.

    Args:
        stats: The call's, which take the counts.
    """

    __slots__ = ("_stats",)

    def __init__(self, stats: CallStats) -> None:
        self._stats = stats

    def sending(self, message: Any) -> None:
        """Count a message, serialized or not."""
        self._stats.messages += 1
        self._stats.payload_bytes += (
            len(message) if isinstance(message, bytes) else message.ByteSize()
        )


class TelemetryInterceptor(CallInterceptor):
    """Counts calls and their messages, and makes their spans.

    Args:
        calls: Takes the running calls' stats.
        metrics: Takes the errors.
        grpc_metrics: Takes each call's begin and end.
        tracer: Makes the spans.
    """

    def __init__(
        self, calls: RunningCalls, metrics: Metrics, grpc_metrics: GrpcMetrics, tracer: Tracer
    ) -> None:
        self._calls = calls
        self._grpc_metrics = grpc_metrics
        self._metrics = metrics
        self._tracer = tracer

    def applies_to(self, method: str) -> bool:
        """Measure the service's own methods only, so that labels stay few."""
        return method.startswith(f"/{SERVICE_NAME}/")

    @contextmanager
    def around(self, call: Call) -> Iterator[MessageHook]:
        """Measure the call from here to its end, after its last query."""
        stats = current_call_stats()
        span = self._start_span(call)
        stats.trace = set_span_in_context(span)
        self._calls.begin(stats)
        self._grpc_metrics.begin(stats)
        began_at = monotonic()
        try:
            yield _MessageCounter(stats)
        finally:
            self._calls.end(stats)
            status = call_status(call.context)
            self._grpc_metrics.end(stats, status, monotonic() - began_at)
            if status != "OK":
                reason = stats.reason or status
                self._metrics.errors.add(1, {"method": stats.method, "reason": reason})
            _end_span(span, stats, status)

    def _start_span(self, call: Call) -> Span:
        name = call.method.removeprefix("/")
        span = self._tracer.start_span(
            name,
            context=caller_context(call.context.invocation_metadata()),
            kind=SpanKind.SERVER,
            attributes={"rpc.system.name": "grpc", "rpc.method": name},
        )
        trace = span.get_span_context()
        if trace.is_valid:
            structlog.contextvars.bind_contextvars(trace_id=f"{trace.trace_id:032x}")
        return span


def _end_span(span: Span, stats: CallStats, status: str) -> None:
    span.set_attributes({
        "rpc.response.status_code": status,
        "userstream.rows": stats.rows,
        "userstream.messages": stats.messages,
        "userstream.payload_bytes": stats.payload_bytes,
        "userstream.resumed": stats.resumed,
    })  # fmt: skip
    if stats.reason:
        span.set_attribute("error.type", stats.reason)
    if status in _OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR))
    span.end()
