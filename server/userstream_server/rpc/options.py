"""gRPC's own options of a server. Their names are in gRPC's include/grpc/impl/channel_arg_names.h."""

from userstream_server.rpc.connection_limits import connection_limits
from userstream_server.settings import ServerSettings

__all__ = ["server_options"]

_KEEPALIVE_ANSWER_SECONDS = 20


def server_options(settings: ServerSettings, *, share_port: bool) -> list[tuple[str, int]]:
    """Return the options for a server with these settings.

    Args:
        settings: The settings.
        share_port: Let other processes listen on the same port.
    """
    return [
        # On by default, it would let a second server share the port without an error.
        ("grpc.so_reuseport", int(share_port)),
        *_size_options(settings),
        *_connection_options(settings),
        *_keepalive_options(settings),
    ]


def _size_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Bound what gRPC receives at all. Our own limits are half as high and refuse with a reason."""
    metadata_bytes = 2 * settings.metadata_bytes_max
    return [
        ("grpc.max_receive_message_length", 2 * settings.request_bytes_max),
        ("grpc.max_metadata_size", metadata_bytes),
        ("grpc.absolute_max_metadata_size", metadata_bytes),
    ]


def _connection_options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # Clients know this limit: those that want more streams wait.
        ("grpc.max_concurrent_streams", settings.streams_per_connection_max),
        # Ended calls count until they are cleaned up, which bounds a flood of resets. With less room for
        # them, a client that opens the next call as one ends is refused every other time.
        ("grpc.http2.max_deallocating_streams", settings.streams_per_connection_max),
        ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_seconds)),
        ("grpc.max_connection_age_grace_ms", _ms(settings.max_connection_age_grace_seconds)),
        ("grpc.server_handshake_timeout_ms", _ms(settings.handshake_timeout_seconds)),
        *connection_limits(settings),
    ]


def _keepalive_options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # A client may ping without a call, and more often than gRPC's default of five minutes.
        ("grpc.keepalive_permit_without_calls", 1),
        # Never hang up on a client for its pings. gRPC puts that off while the client reads nothing, and each
        # further ping then costs more than the one before: one connection stopped all calls for 20 s. Without
        # it, pings are answered as fast as the client reads the answers, and no faster.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_SECONDS * 1000),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
