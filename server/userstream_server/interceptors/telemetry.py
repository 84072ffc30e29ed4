"""Metrics and a span around every call of the service."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any

import grpc
import structlog
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from userstream_server.account import CallAccount, current_account
from userstream_server.interceptors.surrounding import (
    Behaviour,
    SurroundingInterceptor,
    call_status,
)
from userstream_server.rpc.health import SERVICE_NAME
from userstream_server.telemetry.calls import RunningCalls
from userstream_server.telemetry.grpc_metrics import GrpcMetrics
from userstream_server.telemetry.metrics import Metrics
from userstream_server.telemetry.traces import caller_context

__all__ = ["TelemetryInterceptor"]

_OUR_FAULT = {
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip
"""OpenTelemetry's convention: the statuses that make a server's span an error."""


class TelemetryInterceptor(SurroundingInterceptor):
    """Counts calls and their messages, and makes their spans.

    Args:
        calls: Takes the running calls' accounts.
        metrics: Takes the errors.
        grpc_metrics: Takes each call's begin and end.
        tracer: Makes the spans.
    """

    def __init__(
        self, calls: RunningCalls, metrics: Metrics, grpc_metrics: GrpcMetrics, tracer: Tracer
    ) -> None:
        """See the class."""
        self._calls = calls
        self._grpc_metrics = grpc_metrics
        self._metrics = metrics
        self._tracer = tracer

    def applies_to(self, method: str) -> bool:
        """Measure the service's own methods only, so that labels stay few."""
        return method.startswith(f"/{SERVICE_NAME}/")

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """See the base class."""
        account = current_account()
        span = self._start_span(method, context)
        account.trace = set_span_in_context(span)
        self._calls.begin(account)
        self._grpc_metrics.begin(account)
        began_at = monotonic()
        try:
            yield
        finally:
            self._calls.end(account)
            status = call_status(context)
            self._grpc_metrics.end(account, status, monotonic() - began_at)
            if status != "OK":
                reason = account.reason or status
                self._metrics.errors.add(1, {"method": account.method, "reason": reason})
            _end_span(span, account, status)

    def _single(self, method: str, behaviour: Behaviour) -> Behaviour:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            with self.around(method, context):
                response = behaviour(request, context)
                _count(current_account(), response)
                return response

        return call

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            # Closed before the account is, so that all the call's queries are in it.
            with self.around(method, context), closing(behaviour(request, context)) as messages:
                account = current_account()
                for message in messages:
                    _count(account, message)
                    yield message

        return call

    def _start_span(self, method: str, context: grpc.ServicerContext) -> Span:
        span = self._tracer.start_span(
            method.removeprefix("/"),
            context=caller_context(context.invocation_metadata()),
            kind=SpanKind.SERVER,
            attributes={"rpc.system.name": "grpc", "rpc.method": method.removeprefix("/")},
        )
        trace = span.get_span_context()
        if trace.is_valid:
            structlog.contextvars.bind_contextvars(trace_id=f"{trace.trace_id:032x}")
        return span


def _end_span(span: Span, account: CallAccount, status: str) -> None:
    span.set_attributes({
        "rpc.response.status_code": status,
        "userstream.rows": account.rows,
        "userstream.messages": account.messages,
        "userstream.payload_bytes": account.payload_bytes,
        "userstream.resumed": account.resumed,
    })  # fmt: skip
    if account.reason:
        span.set_attribute("error.type", account.reason)
    if status in _OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _count(account: CallAccount, message: Any) -> None:
    account.messages += 1
    account.payload_bytes += len(message) if isinstance(message, bytes) else message.ByteSize()
