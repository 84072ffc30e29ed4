"""The gRPC server: what it serves, what surrounds each call, and how it stops."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from userstream.v1 import user_service_pb2 as pb

from userstream_server.calls import Calls
from userstream_server.db.chunks import ChunkSizes
from userstream_server.db.database import Database
from userstream_server.errors import FieldViolation, InvalidRequestError
from userstream_server.health import SERVICE_NAME, HealthMonitor
from userstream_server.interceptors.auth import AuthInterceptor, AuthTokens
from userstream_server.interceptors.errors import ErrorInterceptor
from userstream_server.interceptors.limits import LimitInterceptor
from userstream_server.interceptors.logging import LoggingInterceptor
from userstream_server.interceptors.stalls import StallInterceptor
from userstream_server.service import UserService
from userstream_server.settings import ServerSettings
from userstream_server.tls import server_credentials

if TYPE_CHECKING:
    from userstream_server.telemetry.telemetry import Telemetry

__all__ = ["UserStreamServer", "build_server"]

_SPARE_THREADS = 16
"""Beyond streams_max, so that refusals and health checks find a thread when every stream has one."""
_STOP_SECONDS = 5.0


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
        cleanup: Sequence[Callable[[], None]],
    ) -> None:
        """See `build_server`."""
        self._servers = servers
        self._calls = calls
        self._monitor = monitor
        self._cleanup = cleanup
        self.port = ports[0]
        self.health_port = ports[1] if len(ports) > 1 else None

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
    calls = Calls()
    monitor = HealthMonitor(database, poll_seconds=settings.health_poll_seconds)
    readers = ThreadPoolExecutor(settings.pool_size, thread_name_prefix="read-ahead")
    service = UserService(
        database,
        calls,
        sizes=ChunkSizes(max_rows=settings.chunk_rows_max),
        readers=readers,
        message_bytes=settings.message_bytes,
        observe=telemetry.observe if telemetry else None,
    )
    stalls = StallInterceptor(settings.send_timeout_seconds)
    if telemetry:
        telemetry.watch_server(monitor, stalls)
    options = _options(share_port=share_port)
    main = grpc.server(
        ThreadPoolExecutor(settings.streams_max + _SPARE_THREADS, thread_name_prefix="call"),
        interceptors=[*_interceptors(settings, telemetry), stalls],
        options=options,
    )
    main.add_generic_rpc_handlers([_handlers(service)])
    health_pb2_grpc.add_HealthServicer_to_server(monitor.servicer, main)
    if settings.reflection:
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, main)
    servers, ports = [main], [_bind(main, settings.listen, settings)]
    if settings.health_listen:
        apart = grpc.server(ThreadPoolExecutor(4, thread_name_prefix="health"), options=options)
        health_pb2_grpc.add_HealthServicer_to_server(monitor.servicer, apart)
        servers.append(apart)
        ports.append(_bind(apart, settings.health_listen, None))
    cleanup = (calls.close, readers.shutdown, stalls.close)
    return UserStreamServer(servers, ports, calls, monitor, cleanup)


def _interceptors(
    settings: ServerSettings, telemetry: "Telemetry | None"
) -> list[grpc.ServerInterceptor]:
    """Return what surrounds each call, outermost first."""
    auth = settings.auth_tokens_file
    return [
        LoggingInterceptor(),
        *([telemetry.interceptor] if telemetry else []),
        ErrorInterceptor(),
        *([AuthInterceptor(AuthTokens(auth))] if auth else []),
        LimitInterceptor(settings.streams_max),
    ]


def _options(*, share_port: bool) -> list[tuple[str, int]]:
    return [
        # On by default, it would let a second server share the port without a word.
        ("grpc.so_reuseport", int(share_port)),
        # Requests are small; their largest part is a token.
        ("grpc.max_receive_message_length", 64 * 1024),
    ]


def _bind(server: grpc.Server, address: str, tls: ServerSettings | None) -> int:
    try:
        if tls is not None and tls.tls_cert and tls.tls_key:
            credentials = server_credentials(tls.tls_cert, tls.tls_key, tls.tls_client_ca)
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(
            f"cannot listen on {address}: the port is taken or the address not ours"
        ) from None


def _handlers(service: UserService) -> grpc.GenericRpcHandler:
    """Register the service by its descriptor.

    Requests are parsed inside the call, so that a malformed one is INVALID_ARGUMENT (gRPC itself would
    say INTERNAL), and responses may already be bytes.
    """
    handlers = {}
    for method in pb.DESCRIPTOR.services_by_name["UserService"].methods:
        parse = _parser(GetMessageClass(method.input_type))
        kind = "unary_stream" if method.server_streaming else "unary_unary"
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        handlers[method.name] = make(
            _parsing(parse, getattr(service, method.name)), response_serializer=_serialize
        )
    return grpc.method_handlers_generic_handler(SERVICE_NAME, handlers)


def _parsing(
    parse: Callable[[bytes], Message], behaviour: Callable[..., Any]
) -> Callable[..., Any]:
    return lambda raw, context: behaviour(parse(raw), context)


def _parser(request_type: type[Message]) -> Callable[[bytes], Message]:
    def parse(raw: bytes) -> Message:
        try:
            return request_type.FromString(raw)
        except DecodeError:
            name = request_type.DESCRIPTOR.name
            described = f"is not a valid {name}: broken encoding, or text that is not UTF-8"
            raise InvalidRequestError(
                [FieldViolation("request", described)], reason="MALFORMED_REQUEST"
            ) from None

    return parse


def _serialize(response: bytes | Message) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()
