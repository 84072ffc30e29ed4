"""What both clients share about health checks: grpc.health.v1. No I/O of its own."""

from typing import TYPE_CHECKING, Any

import grpc

from userstream_client._messages import SERVICE_NAME
from userstream_client.errors import error_from_call
from userstream_client.models import HealthStatus

if TYPE_CHECKING:
    # Only for its type: it imports the settings, which are late.
    from userstream_client._channel import Connection

__all__ = ["SERVICES", "start_check", "status_from_failure"]

SERVICES = ("", SERVICE_NAME)
"""The server as a whole, and its one service."""


def start_check(channel: Any, service: str, connection: "Connection") -> Any:
    """Start one health check; return what the stub returns."""
    # Late, because most programs never ask.
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    return health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service),
        timeout=connection.health_timeout_seconds,
        metadata=connection.metadata,
    )


def status_from_failure(failure: grpc.RpcError) -> HealthStatus:
    """Return what a failed health check means.

    Raises:
        UserStreamError: The server did not answer.
    """
    error = error_from_call(failure)
    if error.code is grpc.StatusCode.NOT_FOUND:
        return HealthStatus.SERVICE_UNKNOWN
    raise error from None
