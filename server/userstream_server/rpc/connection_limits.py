"""gRPC's own limits of connections. It counts and cuts them before any call, and so before any caller is known."""

from userstream_server.file_limits import HEALTH_CONNECTIONS_MAX, connections_allowed
from userstream_server.settings import ServerSettings

__all__ = ["connection_limits", "health_connection_limits"]

_MOST = "grpc.max_allowed_incoming_connections"


def connection_limits(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the options for the service's port; gRPC closes connections beyond the limit at once."""
    return [
        (_MOST, connections_allowed(settings)),
        ("grpc.max_connection_idle_ms", round(settings.max_connection_idle_seconds * 1000)),
    ]


def health_connection_limits(options: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the service's options for the port of health alone, which has a limit of its own."""
    return [*(option for option in options if option[0] != _MOST), (_MOST, HEALTH_CONNECTIONS_MAX)]
