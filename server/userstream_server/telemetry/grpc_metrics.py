"""The metrics that all gRPC servers share, with gRPC's names, for the calls of this service.

They are counted here because gRPC's plugin sometimes made servers stop answering
(docs/adr/0004-grpc-metrics.md). Names and units: https://grpc.io/docs/guides/opentelemetry-metrics/
"""

from opentelemetry.metrics import Meter

from userstream_server.call_stats import CallStats
from userstream_server.version import SERVICE_NAME

__all__ = ["GrpcMetrics"]


class GrpcMetrics:
    """The instruments of gRPC's metrics.

    Args:
        meter: Creates the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self._started = meter.create_counter(
            "grpc.server.call.started", "{call}", "Calls begun, by method."
        )
        self._seconds = meter.create_histogram(
            "grpc.server.call.duration", "s", "How long calls took, by method and status."
        )
        self._sent, self._received = (
            meter.create_histogram(
                f"grpc.server.call.{way}_total_compressed_message_size",
                "By",
                f"Bytes of the messages {verb} in a call. Nothing is compressed here.",
            )
            for way, verb in (("sent", "sent"), ("rcvd", "received"))
        )

    def begin(self, stats: CallStats) -> None:
        """Count a call that starts."""
        self._started.add(1, _labels(stats))

    def end(self, stats: CallStats, status: str, seconds: float) -> None:
        """Count a finished call."""
        labels = {**_labels(stats), "grpc.status": status}
        self._seconds.record(seconds, labels)
        self._sent.record(stats.payload_bytes, labels)
        self._received.record(stats.request_bytes, labels)


def _labels(stats: CallStats) -> dict[str, str]:
    return {"grpc.method": f"{SERVICE_NAME}/{stats.method}"}
