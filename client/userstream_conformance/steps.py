"""What a scripted server plays: messages of made-up users, failures and silence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from userstream.v1 import user_service_pb2 as pb

__all__ = [
    "Fail",
    "Hang",
    "Script",
    "Step",
    "begin_of",
    "in_collation_order",
    "made_users",
    "messages_of",
    "receipt_of",
    "scan_script",
]


@dataclass(frozen=True)
class Fail:
    """End the call with a status; the service's own ones carry a reason, the transport's none."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str = ""
    retry_after_seconds: float | None = None
    violations: Mapping[str, str] = field(default_factory=dict)

    def rich_status(self) -> status_pb2.Status:
        """Return it with its details, as `grpc-status-details-bin` carries it."""
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
        return status

    def status(self) -> grpc.Status:
        """Return it in gRPC's form."""
        rich: grpc.Status = rpc_status.to_status(self.rich_status())
        return rich


@dataclass(frozen=True)
class Hang:
    """Send nothing more until the call is ended from outside."""


Step = Message | Fail | Hang
Script = Callable[[Any], Sequence[Step]] | Sequence[Step]


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


def in_collation_order(messages: Sequence[Any]) -> Sequence[Any]:
    """Mark messages of a scan, and its receipt, as ordered by a collation; return them."""
    for message in messages:
        message.key_order = pb.KEY_ORDER_COLLATION
    messages[-1].receipt.key_order = pb.KEY_ORDER_COLLATION
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
