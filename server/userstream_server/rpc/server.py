"""The gRPC server: what it serves, what surrounds each call, and how it stops."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from userstream.v1 import user_service_pb2 as pb

from userstream_server.auth.access import Access
from userstream_server.auth.certificate_names import ClientNames
from userstream_server.databases.database import Database
from userstream_server.grpc_internals import pass_on_hints
from userstream_server.interceptors.authentication import AuthInterceptor
from userstream_server.interceptors.cancelled import EndedInterceptor
from userstream_server.interceptors.certificate_names import ClientNameInterceptor
from userstream_server.interceptors.concurrency import LimitInterceptor
from userstream_server.interceptors.logging import LoggingInterceptor
from userstream_server.interceptors.metadata import MetadataInterceptor
from userstream_server.interceptors.stalls import StallInterceptor
from userstream_server.interceptors.status import ErrorInterceptor
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rpc.cancellation import Calls
from userstream_server.rpc.connection_limits import connection_limits, health_connection_limits
from userstream_server.rpc.health import HealthMonitor
from userstream_server.rpc.requests import RequestReader
from userstream_server.rpc.service import UserService
from userstream_server.settings import ServerSettings
from userstream_server.version import SERVICE_NAME

if TYPE_CHECKING:
    from userstream_server.telemetry.telemetry import Telemetry

__all__ = ["UserStreamServer", "build_server"]

_SPARE_THREADS = 16
"""Beyond streams_max, so that refusals and health checks find a thread when every stream has one."""
_STOP_SECONDS = 5.0
_KEEPALIVE_ANSWER_SECONDS = 20


class UserStreamServer:
    """A running service with its health.

    Attributes:
        port: The port it listens on.
        health_port: The port of the server for health alone; None without one.
    """

    def __init__(
        self,
        servers: list[grpc.Server],
        ports: list[int],
        calls: Calls,
        monitor: HealthMonitor,
        *,
        cleanup: Sequence[Callable[[], None]],
        access: Access,
    ) -> None:
        """See `build_server`."""
        self._servers = servers
        self._calls = calls
        self._monitor = monitor
        self._cleanup = cleanup
        self._access = access
        self.port = ports[0]
        self.health_port = ports[1] if len(ports) > 1 else None

    def reload(self, settings: ServerSettings) -> None:
        """Read tokens, certificates and the allow-list again; running calls stay."""
        self._access.reload(settings.tls_client_names)

    def start(self) -> None:
        """Look at the database once, then serve."""
        self._monitor.start()
        for server in self._servers:
            server.start()

    def stop(self, grace_seconds: float) -> None:
        """Say NOT_SERVING, give running calls the grace, then end them UNAVAILABLE."""
        self._monitor.drain()
        main, *others = self._servers
        if not main.stop(grace_seconds).wait(grace_seconds + _STOP_SECONDS):
            self._calls.interrupt_all()
        self._calls.interrupt_all()
        for server in others:
            server.stop(None).wait(_STOP_SECONDS)
        for close in self._cleanup:
            close()


def build_server(
    settings: ServerSettings,
    database: Database,
    *,
    share_port: bool = False,
    telemetry: "Telemetry | None" = None,
) -> UserStreamServer:
    """Put a server together; nothing runs yet, but its ports are taken.

    Args:
        settings: The settings.
        database: Where the users are.
        share_port: Let other workers listen on the same ports.
        telemetry: Measures calls and queries, if given.

    Raises:
        OSError: A port is taken, or a file of certificates or tokens cannot be read.
        ValueError: The file of tokens holds none.
    """
    pass_on_hints()
    access = Access(
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        tls_client_ca=settings.tls_client_ca,
        tls_client_names=settings.tls_client_names,
        tokens_file=settings.auth_tokens_file,
    )
    calls = Calls()
    monitor = HealthMonitor(database, poll_seconds=settings.health_poll_seconds)
    # Half of the connections, so that those who just begin find one at once.
    readers = ThreadPoolExecutor(max(1, settings.pool_size // 2), thread_name_prefix="read-ahead")
    stalls = StallInterceptor(settings.send_timeout_seconds, settings.request_timeout_seconds)
    if telemetry:
        telemetry.watch_server(monitor, stalls)
    options = _options(settings, share_port=share_port)
    main = grpc.server(
        ThreadPoolExecutor(_threads(settings), thread_name_prefix="call"),
        interceptors=[*_interceptors(settings, access, telemetry), stalls],
        options=options,
    )
    requests = RequestReader(settings.request_bytes_max, stalls.awaiting_request)
    service = _service(settings, database, calls, readers, telemetry)
    main.add_generic_rpc_handlers([_handlers(service, requests)])
    health_pb2_grpc.add_HealthServicer_to_server(monitor.servicer, main)
    if settings.reflection:
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, main)
    servers, ports = [main], [_bind(main, settings.listen, access.credentials)]
    if settings.health_listen:
        apart = grpc.server(
            ThreadPoolExecutor(4, thread_name_prefix="health"),
            options=health_connection_limits(options),
        )
        health_pb2_grpc.add_HealthServicer_to_server(monitor.servicer, apart)
        servers.append(apart)
        ports.append(_bind(apart, settings.health_listen, None))
    cleanup = (calls.close, readers.shutdown, stalls.close)
    return UserStreamServer(servers, ports, calls, monitor, cleanup=cleanup, access=access)


def _service(
    settings: ServerSettings,
    database: Database,
    calls: Calls,
    readers: Executor,
    telemetry: "Telemetry | None",
) -> UserService:
    return UserService(
        database,
        calls,
        sizes=ChunkSizes(max_rows=settings.chunk_rows_max),
        readers=readers,
        message_bytes=settings.message_bytes,
        users_max=settings.batch_users_max,
        observe=telemetry.observe if telemetry else None,
    )


def _threads(settings: ServerSettings) -> int:
    return settings.streams_max + settings.calls_waiting_max + _SPARE_THREADS


def _interceptors(
    settings: ServerSettings, access: Access, telemetry: "Telemetry | None"
) -> list[grpc.ServerInterceptor]:
    """Return what surrounds each call, outermost first."""
    return [
        EndedInterceptor(),
        LoggingInterceptor(),
        *_telemetry_interceptors(telemetry),
        ErrorInterceptor(),
        MetadataInterceptor(settings.metadata_bytes_max),
        *_access_interceptors(access),
        LimitInterceptor(
            settings.streams_max,
            per_caller_max=settings.streams_per_caller_max,
            waiting_max=settings.calls_waiting_max,
            wait_seconds=settings.call_wait_seconds,
        ),
    ]


def _telemetry_interceptors(telemetry: "Telemetry | None") -> list[grpc.ServerInterceptor]:
    if telemetry is None:
        return []
    # Imported late: OpenTelemetry is for those who ask for it.
    from userstream_server.interceptors.telemetry import TelemetryInterceptor  # noqa: PLC0415

    return [
        TelemetryInterceptor(
            telemetry.calls, telemetry.metrics, telemetry.grpc_metrics, telemetry.tracer
        )
    ]


def _access_interceptors(access: Access) -> list[grpc.ServerInterceptor]:
    found: list[grpc.ServerInterceptor] = []
    if access.client_names is not None:
        found.append(ClientNameInterceptor(lambda: access.client_names or ClientNames()))
    if access.tokens:
        found.append(AuthInterceptor(access.tokens))
    return found


def _options(settings: ServerSettings, *, share_port: bool) -> list[tuple[str, int]]:
    """Return gRPC's own options; its names are in grpc/impl/channel_arg_names.h."""
    hard_metadata_bytes = 2 * settings.metadata_bytes_max
    return [
        # On by default, it would let a second server share the port without a word.
        ("grpc.so_reuseport", int(share_port)),
        # Ours refuse with a reason; gRPC's, twice as high, bound what is taken in at all.
        ("grpc.max_receive_message_length", 2 * settings.request_bytes_max),
        ("grpc.max_metadata_size", hard_metadata_bytes),
        ("grpc.absolute_max_metadata_size", hard_metadata_bytes),
        # What a client may have open; it keeps to that by itself, and waits with more.
        ("grpc.max_concurrent_streams", settings.streams_per_connection_max),
        # Calls that have ended count until they are cleaned up, which bounds a flood of resets. Without
        # as much room for them, a client that opens the next call as one ends is refused every other time.
        ("grpc.http2.max_deallocating_streams", settings.streams_per_connection_max),
        ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_seconds)),
        ("grpc.max_connection_age_grace_ms", _ms(settings.max_connection_age_grace_seconds)),
        ("grpc.server_handshake_timeout_ms", _ms(settings.handshake_timeout_seconds)),
        *connection_limits(settings),
        # A client may ping without a call, and more often than every five minutes.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(settings.ping_interval_seconds)),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_SECONDS * 1000),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _bind(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(
            f"cannot listen on {address}: the port is taken or the address not ours"
        ) from None


def _handlers(service: UserService, reader: RequestReader) -> grpc.GenericRpcHandler:
    """Register the service by its descriptor; requests are read inside the call, see `requests`."""
    handlers = {}
    for method in pb.DESCRIPTOR.services_by_name["UserService"].methods:
        kind = "stream_stream" if method.server_streaming else "stream_unary"
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        handlers[method.name] = make(
            _reading(reader, GetMessageClass(method.input_type), getattr(service, method.name)),
            response_serializer=_serialize,
        )
    return grpc.method_handlers_generic_handler(SERVICE_NAME, handlers)


def _reading(
    reader: RequestReader, of: type[Message], behaviour: Callable[..., Any]
) -> Callable[..., Any]:
    return lambda requests, context: behaviour(reader.read(of, requests, context), context)


def _serialize(response: bytes | Message) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()
