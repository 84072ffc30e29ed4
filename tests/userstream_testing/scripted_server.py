"""A real gRPC server on a real loopback port that plays scripted answers: the client's conformance partner."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from userstream.v1 import user_service_pb2 as pb

__all__ = [
    "Call",
    "Fail",
    "Hang",
    "ScriptedServer",
    "Step",
    "begin_of",
    "made_users",
    "messages_of",
    "receipt_of",
    "scan_script",
]

SERVICE = pb.DESCRIPTOR.services_by_name["UserService"]


@dataclass(frozen=True)
class Fail:
    """End the call with a status; the service's own ones carry a reason, the transport's none."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str = ""
    retry_after_seconds: float | None = None
    violations: Mapping[str, str] = field(default_factory=dict)

    def status(self) -> grpc.Status:
        """Return it as a rich status."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.reason:
            info = error_details_pb2.ErrorInfo(reason=self.reason, domain="userstream")
            status.details.add().Pack(info)
        if self.retry_after_seconds is not None:
            delay = Duration()
            delay.FromMilliseconds(round(self.retry_after_seconds * 1000))
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for name, description in self.violations.items():
                bad.field_violations.add(field=name, description=description)
            status.details.add().Pack(bad)
        rich: grpc.Status = rpc_status.to_status(status)
        return rich


@dataclass(frozen=True)
class Hang:
    """Send nothing more until the call is ended from outside."""


Step = Message | Fail | Hang
Script = Callable[[Any], Sequence[Step]] | Sequence[Step]


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
    """

    method: str
    request: Any
    metadata: dict[str, str | bytes]
    seconds_left: float | None
    ended: threading.Event
    sent: int = 0


class ScriptedServer:
    """Plays one script a call, in order; calls beyond the last script fail INTERNAL.

    Args:
        scripts: Each a list of steps, or a function from the request to one.

    Attributes:
        target: Where it listens.
        calls: Those that came so far.
    """

    def __init__(self, *scripts: Script, port: int = 0, credentials: Any = None) -> None:
        """Listen; `with` starts and stops it."""
        self.calls: list[Call] = []
        self._scripts = list(scripts)
        self._lock = threading.Lock()
        self._hanging = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([self._handlers()])
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self.target = f"127.0.0.1:{self.port}"

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
            script = self._scripts.pop(0) if self._scripts else [_UNSCRIPTED]
        for step in script(request) if callable(script) else script:
            if isinstance(step, Fail):
                context.abort_with_status(step.status())
            elif isinstance(step, Hang):
                self._hanging.set()
                call.ended.wait()
                return
            else:
                yield step
                call.sent += 1


_UNSCRIPTED = Fail(grpc.StatusCode.INTERNAL, "a call that no script expects", reason="UNSCRIPTED")


def made_users(count: int, *, first: int = 1) -> list[pb.User]:
    """Return users in key order; the first one's number is `first`."""
    return [
        pb.User(
            user_id=f"00000000-0000-4000-8000-{n:012d}",
            name=f"Name {n}",
            email=f"user{n}@example.com",
            age=n % 100,
        )
        for n in range(first, first + count)
    ]


def receipt_of(
    users: Sequence[pb.User],
    resumed_count: int = 0,
    consistency: pb.Consistency.ValueType = pb.CONSISTENCY_LIVE,
) -> pb.StreamReceipt:
    """Return the true receipt of a whole scan."""
    crc = crc32("".join(user.user_id for user in users).encode())
    return pb.StreamReceipt(
        user_count=len(users),
        user_id_crc32=crc,
        consistency=consistency,
        resumed_count=resumed_count,
    )


def messages_of(
    users: Sequence[pb.User],
    *,
    per_message: int = 2,
    after: int = 0,
    resumed_count: int | None = None,
    receipt: bool = True,
    response: type[Any] = pb.StreamUsersResponse,
    consistency: pb.Consistency.ValueType = pb.CONSISTENCY_LIVE,
) -> list[Any]:
    """Return the messages of a scan from its `after`-th user on.

    Tokens are `after:N`, and `after:N:R` where the scan was resumed R times. A scan that begins after
    a user was resumed once, unless `resumed_count` says otherwise.
    """
    resumed = int(after > 0) if resumed_count is None else resumed_count
    messages = []
    for begin in range(after, len(users), per_message) or [after]:
        end = min(begin + per_message, len(users))
        token = f"after:{end}:{resumed}" if resumed else f"after:{end}"
        message = response(users=users[begin:end], resume_token=token)
        message.progress.users_sent = end
        message.progress.estimated_users = len(users)
        messages.append(message)
    if receipt:
        messages[-1].receipt.CopyFrom(receipt_of(users, resumed, consistency))
        messages[-1].progress.fraction = 1
    return messages


def begin_of(resume_token: str) -> tuple[int, int]:
    """Return after how many users a token of `messages_of` resumes, and how many resumes that makes."""
    if not resume_token:
        return 0, 0
    _, after, resumed = (*resume_token.split(":"), "0")[:3]
    return int(after), int(resumed) + 1


def scan_script(
    users: Sequence[pb.User], *steps: Step, messages: int | None = None, per_message: int = 2
) -> Callable[[Any], Sequence[Step]]:
    """Return a script that resumes from the request's token, sends so many messages, then plays `steps`."""

    def script(request: Any) -> Sequence[Step]:
        response = getattr(pb, type(request).__name__.replace("Request", "Response"))
        after, resumed_count = begin_of(request.resume_token)
        sent = messages_of(
            users,
            per_message=per_message,
            after=after,
            resumed_count=resumed_count,
            response=response,
            consistency=request.consistency,
        )
        return [*sent[:messages], *steps]

    return script
