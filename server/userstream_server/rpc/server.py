"""The gRPC server: put together from its parts, started and stopped."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from userstream_server.auth.access import Access
from userstream_server.databases.database import Database
from userstream_server.grpc_internals import pass_on_hints
from userstream_server.interceptors.caller import caller_names
from userstream_server.interceptors.chain import InterceptorChain
from userstream_server.interceptors.draining import DrainInterceptor
from userstream_server.interceptors.stalls import StallInterceptor
from userstream_server.ports import check_port
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rpc.call_interceptors import call_interceptors
from userstream_server.rpc.cancellation import SessionInterrupter
from userstream_server.rpc.connection_limits import health_connection_limits
from userstream_server.rpc.health import HealthMonitor
from userstream_server.rpc.options import server_options
from userstream_server.rpc.registration import add_health, add_reflection, add_user_service
from userstream_server.rpc.requests import RequestReader
from userstream_server.rpc.service import UserService
from userstream_server.settings import ServerSettings

if TYPE_CHECKING:
    from userstream_server.telemetry.telemetry import Telemetry

__all__ = ["UserStreamServer", "build_server"]

_SPARE_THREADS = 16
"""Beyond streams_max, so that refusals and health checks find a thread when every stream has one."""
_HEALTH_THREADS = 4
_STOP_SECONDS = 5.0
"""For calls that are being ended: their last message and their status must reach the caller."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a server's calls share.

    Attributes:
        access: Who may call.
        monitor: The health, from the database.
        stalls: Ends calls that wait too long for their caller.
        drain: How calls end while the server stops.
        interrupter: Ends the queries of calls that end early.
        readers: The threads that prefetch.
    """

    access: Access
    monitor: HealthMonitor
    stalls: StallInterceptor
    drain: DrainInterceptor
    interrupter: SessionInterrupter
    readers: ThreadPoolExecutor

    def close(self) -> None:
        """Stop the threads."""
        self.interrupter.close()
        self.readers.shutdown()
        self.stalls.close()


class UserStreamServer:
    """A running service with its health.

    Args:
        servers: The main server, then the one for health alone, if there is one.
        ports: Their ports.
        parts: What their calls share; closed at the end.

    Attributes:
        port: The port it listens on.
        health_port: The port of the server for health alone; None without one.
    """

    def __init__(self, servers: list[grpc.Server], ports: list[int], parts: _Parts) -> None:
        self._servers = servers
        self._parts = parts
        self.port = ports[0]
        self.health_port = ports[1] if len(ports) > 1 else None

    def reload(self, settings: ServerSettings) -> None:
        """Read tokens, certificates and the allow-lists again; running calls continue."""
        self._parts.access.reload(settings.tls_client_names, settings.fields_allowed)

    def start(self) -> None:
        """Check the database once, then serve."""
        self._parts.monitor.start()
        for server in self._servers:
            server.start()

    def stop(self, grace_seconds: float, *, notice_seconds: float = 0.0) -> None:
        """Drain, in the order that balancers understand: health, then new calls, then running calls.

        Args:
            grace_seconds: How long running calls may continue; then they end UNAVAILABLE.
            notice_seconds: How long new calls are accepted before, while health says NOT_SERVING already.
        """
        self._parts.monitor.drain()
        time.sleep(notice_seconds)
        self._parts.drain.begin()
        main, *others = self._servers
        stopped = main.stop(grace_seconds + _STOP_SECONDS)
        if not stopped.wait(grace_seconds):
            self._parts.drain.end_calls()
            self._parts.interrupter.interrupt_all()
            stopped.wait(2 * _STOP_SECONDS)
        self._parts.interrupter.interrupt_all()
        for server in others:
            server.stop(None).wait(_STOP_SECONDS)
        self._parts.close()


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
    parts = _parts(settings, database)
    if telemetry:
        telemetry.watch_server(parts.monitor, parts.stalls)
    options = server_options(settings, share_port=share_port)
    main = _main_server(settings, parts, telemetry, options)
    _add_services(main, settings, _service(settings, database, parts, telemetry), parts)
    if not share_port:  # workers' ports are reserved by the process that starts them
        _check_ports(settings)
    servers, ports = [main], [_listen(main, settings.listen, parts.access.credentials)]
    if settings.health_listen:
        apart = _health_server(parts.monitor, options)
        servers.append(apart)
        ports.append(_listen(apart, settings.health_listen, None))
    return UserStreamServer(servers, ports, parts)


def _parts(settings: ServerSettings, database: Database) -> _Parts:
    # Half of the connections, so that calls that just begin find a free one.
    prefetching = max(1, settings.pool_size // 2)
    return _Parts(
        # First, because it may fail and the others start threads.
        access=_access(settings),
        monitor=HealthMonitor(database, poll_seconds=settings.health_poll_seconds),
        stalls=StallInterceptor(settings.send_timeout_seconds, settings.request_timeout_seconds),
        drain=DrainInterceptor(),
        interrupter=SessionInterrupter(),
        readers=ThreadPoolExecutor(prefetching, thread_name_prefix="prefetch"),
    )


def _access(settings: ServerSettings) -> Access:
    return Access(
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        tls_client_ca=settings.tls_client_ca,
        tls_client_names=settings.tls_client_names,
        tokens_file=settings.auth_tokens_file,
        fields_allowed=settings.fields_allowed,
    )


def _main_server(
    settings: ServerSettings,
    parts: _Parts,
    telemetry: "Telemetry | None",
    options: list[tuple[str, int]],
) -> grpc.Server:
    """Return the server of all services, without them."""
    threads = settings.streams_max + settings.calls_waiting_max + _SPARE_THREADS
    order = call_interceptors(settings, parts.access, telemetry, parts.drain, parts.stalls)
    return grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="call"),
        interceptors=[InterceptorChain(order)],
        options=options,
    )


def _health_server(monitor: HealthMonitor, options: list[tuple[str, int]]) -> grpc.Server:
    """Return a server for health alone, whose threads no stream can occupy."""
    threads = ThreadPoolExecutor(_HEALTH_THREADS, thread_name_prefix="health")
    server = grpc.server(threads, options=health_connection_limits(options))
    add_health(server, monitor.servicer)
    return server


def _service(
    settings: ServerSettings, database: Database, parts: _Parts, telemetry: "Telemetry | None"
) -> UserService:
    return UserService(
        database,
        parts.interrupter,
        sizes=ChunkSizes(max_rows=settings.chunk_rows_max),
        readers=parts.readers,
        message_bytes=settings.message_bytes,
        users_max=settings.batch_users_max,
        observe=telemetry.observe if telemetry else None,
        fields_allowed=lambda: parts.access.fields.allowed(caller_names()),
    )


def _add_services(
    server: grpc.Server, settings: ServerSettings, service: UserService, parts: _Parts
) -> None:
    reader = RequestReader(settings.request_bytes_max, parts.stalls.awaiting_request)
    add_user_service(server, service, reader)
    add_health(server, parts.monitor.servicer)
    if settings.reflection:
        add_reflection(server)


def _check_ports(settings: ServerSettings) -> None:
    check_port("USERSTREAM_LISTEN", settings.listen)
    if settings.health_listen:
        check_port("USERSTREAM_HEALTH_LISTEN", settings.health_listen)


def _listen(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """Take the address; return its port."""
    try:
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(
            f"cannot listen on {address}: the port is taken or the address not ours"
        ) from None
