"""A real gRPC server on a real loopback port that plays scripted answers."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.steps import Fail, Hang, Script

__all__ = ["SERVICE", "UNSCRIPTED", "Call", "ScriptedServer"]

SERVICE = pb.DESCRIPTOR.services_by_name["UserService"]


@dataclass
class Call:
    """A call that came.

    Attributes:
        method: Its name.
        request: Its request.
        metadata: Its metadata.
        seconds_left: Until its deadline; None without one.
        ended: Set when it is over, whoever ended it.
        sent: How many messages the client had taken or gRPC had room for.
        arrived: When it came, in seconds of the monotonic clock.
        last_step: When its last step began, on the same clock.
    """

    method: str
    request: Any
    metadata: dict[str, str | bytes]
    seconds_left: float | None
    ended: threading.Event
    sent: int = 0
    arrived: float = field(default_factory=time.monotonic)
    last_step: float = 0.0


class ScriptedServer:
    """Plays one script a call, in order; calls beyond the last script fail INTERNAL.

    Args:
        scripts: Each a list of steps, or a function from the request to one.
        host: Where to listen.
        port: 0 for any that is free.
        credentials: For TLS; None for plaintext.

    Attributes:
        target: Where it listens.
        calls: Those that came so far.
    """

    def __init__(
        self,
        *scripts: Script,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Any = None,
    ) -> None:
        """Listen; `with` starts and stops it."""
        self.calls: list[Call] = []
        self._scripts = list(scripts)
        self._lock = threading.Lock()
        self._hanging = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([self._handlers()])
        address = f"{host}:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self.target = f"{host}:{self.port}"

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

    @property
    def server(self) -> grpc.Server:
        """The gRPC server, for further services."""
        return self._server

    def wait_until_hanging(self, timeout_seconds: float = 10) -> None:
        """Return when a call has come to a Hang."""
        if not self._hanging.wait(timeout_seconds):
            raise TimeoutError

    def add(self, *scripts: Script) -> None:
        """Append scripts."""
        with self._lock:
            self._scripts += scripts

    def _handlers(self) -> grpc.GenericRpcHandler:
        handlers = {}
        for method in SERVICE.methods:
            kind = "unary_stream" if method.server_streaming else "unary_unary"
            play = (
                self._streaming(method.name) if method.server_streaming else self._one(method.name)
            )
            handlers[method.name] = getattr(grpc, f"{kind}_rpc_method_handler")(
                play,
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)

    def _streaming(self, name: str) -> Callable[[Any, grpc.ServicerContext], Iterator[Message]]:
        return lambda request, context: self._play(name, request, context)

    def _one(self, name: str) -> Callable[[Any, grpc.ServicerContext], Message]:
        return lambda request, context: next(self._play(name, request, context))

    def _play(self, name: str, request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        call = Call(
            name,
            request,
            dict(context.invocation_metadata()),
            context.time_remaining(),
            threading.Event(),
        )
        if not context.add_callback(call.ended.set):
            call.ended.set()
        with self._lock:
            self.calls.append(call)
            script = self._script_for(call)
        for step in script(request) if callable(script) else script:
            call.last_step = time.monotonic()
            if isinstance(step, Fail):
                context.abort_with_status(step.status())
            elif isinstance(step, Hang):
                self._hanging.set()
                call.ended.wait()
                return
            else:
                yield step
                call.sent += 1

    def _script_for(self, call: Call) -> Script:  # noqa: ARG002 - for servers that choose by it
        """Return what to play for a call; called by one thread at a time."""
        return self._scripts.pop(0) if self._scripts else [UNSCRIPTED]


UNSCRIPTED = Fail(grpc.StatusCode.INTERNAL, "a call that no script expects", reason="UNSCRIPTED")
