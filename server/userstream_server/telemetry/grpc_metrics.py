"""The metrics that gRPC servers have in common, under gRPC's names, for the calls of this service.

They are counted here and not by gRPC's plugin, which now and then left a server deaf
(docs/adr/0004-grpc-metrics.md). Names and units: https://grpc.io/docs/guides/opentelemetry-metrics/
"""

from opentelemetry.metrics import Meter

from userstream_server.account import CallAccount
from userstream_server.rpc.health import SERVICE_NAME

__all__ = ["GrpcMetrics"]


class GrpcMetrics:
    """The instruments.

    Args:
        meter: Makes them.
    """

    def __init__(self, meter: Meter) -> None:
        """See the class."""
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

    def begin(self, account: CallAccount) -> None:
        """Count a call that begins."""
        self._started.add(1, _labels(account))

    def end(self, account: CallAccount, status: str, seconds: float) -> None:
        """Count a call that has ended."""
        labels = {**_labels(account), "grpc.status": status}
        self._seconds.record(seconds, labels)
        self._sent.record(account.payload_bytes, labels)
        self._received.record(account.request_bytes, labels)


def _labels(account: CallAccount) -> dict[str, str]:
    return {"grpc.method": f"{SERVICE_NAME}/{account.method}"}
