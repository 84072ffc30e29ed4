"""A real collector of spans: OTLP over gRPC, kept in memory."""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["SpanCollector", "attributes_of"]


class SpanCollector:
    """Listens on a free port for the block.

    Attributes:
        endpoint: Where, as the server's setting takes it.
        requests: All that came.
    """

    def __init__(self) -> None:
        self.requests: list[otlp.ExportTraceServiceRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add: Any = otlp_grpc.add_TraceServiceServicer_to_server
        add(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(  # noqa: N802 - OTLP's name
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """Keep what comes."""
        del context
        self.requests.append(request)
        return otlp.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(None).wait()


def attributes_of(part: Any) -> dict[str, Any]:
    """Return the attributes of a span or a resource."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in part.attributes}
