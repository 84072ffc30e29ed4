"""What can go wrong in a call, and the one table from gRPC statuses to these types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "CallCancelledError",
    "ConflictError",
    "DataIntegrityError",
    "DeadlineExceededError",
    "FieldViolation",
    "IncompleteStreamError",
    "InternalError",
    "InvalidRequestError",
    "OutOfOrderError",
    "OverloadedError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "ReceiptMismatchError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "UserStreamError",
    "error_from_call",
]

_DETAILS_KEY = "grpc-status-details-bin"
_TEXT_MAX_CHARS = 500


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field that breaks a rule: its path as the proto spells it, and what it takes."""

    field: str
    description: str


class UserStreamError(Exception):
    """Any failure of a call.

    Attributes:
        message: One line for people that says what to do.
        code: The gRPC status; None where the client itself found the fault.
        reason: A fixed upper-case word for programs; empty when the server never got to say one.
        retry_after_seconds: When trying again makes sense; None when the server did not say.
        field_violations: The request's fields at fault.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        retry_after_seconds: float | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        """Keep the parts; see the class."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.field_violations = field_violations


class InvalidRequestError(UserStreamError):
    """The request breaks a rule, or a token belongs to another request."""


class UnauthenticatedError(UserStreamError):
    """The server wants a token, or another one."""


class PermissionDeniedError(UserStreamError):
    """The server knows the caller and refuses it."""


class PreconditionFailedError(UserStreamError):
    """Operator action required: the server's database or settings are wrong."""


class OverloadedError(UserStreamError):
    """One of the server's limits is reached."""


class UnavailableError(UserStreamError):
    """The server or its database is away."""


class ConflictError(UserStreamError):
    """The database gave this query up in favour of another."""


class DeadlineExceededError(UserStreamError):
    """A time limit is over: the call's, one wait for a message, or the server's own."""


class CallCancelledError(UserStreamError):
    """The call was cancelled, here or at the server."""


class UnsupportedError(UserStreamError):
    """The server does not know this call."""


class InternalError(UserStreamError):
    """A defect at the server, or something between that speaks no gRPC."""


class DataIntegrityError(UserStreamError):
    """What arrived is not what the server promises; nothing after it is handed out."""


class ReceiptMismatchError(DataIntegrityError):
    """Count or CRC-32 of the users that arrived differ from the receipt."""


class OutOfOrderError(DataIntegrityError):
    """A user came out of order, or twice."""


class IncompleteStreamError(DataIntegrityError):
    """A stream ended OK without its receipt or its last message."""


# The one table, with the text for a status that came without the service's own words.
_TYPES: Mapping[grpc.StatusCode, tuple[type[UserStreamError], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidRequestError, "the request is not valid"),
    grpc.StatusCode.OUT_OF_RANGE: (InvalidRequestError, "the request is not valid"),
    grpc.StatusCode.UNAUTHENTICATED: (UnauthenticatedError, "the server wants a valid token"),
    grpc.StatusCode.PERMISSION_DENIED: (PermissionDeniedError, "the server refuses this caller"),
    grpc.StatusCode.FAILED_PRECONDITION: (PreconditionFailedError, "the server is not set up"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (OverloadedError, "a limit is reached"),
    grpc.StatusCode.UNAVAILABLE: (UnavailableError, "the server cannot be reached"),
    grpc.StatusCode.ABORTED: (ConflictError, "the database chose another query; try again"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlineExceededError, "the time limit is over"),
    grpc.StatusCode.CANCELLED: (CallCancelledError, "the call was cancelled"),
    grpc.StatusCode.UNIMPLEMENTED: (UnsupportedError, "this is not a userstream server"),
    grpc.StatusCode.DATA_LOSS: (DataIntegrityError, "the server reports lost data"),
}


class _FailedCall(Protocol):
    """What failed calls of grpc and of grpc.aio have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def error_from_call(failure: grpc.RpcError) -> UserStreamError:
    """Return the typed error for a failed call.

    Args:
        failure: What grpc or grpc.aio raised.
    """
    call = cast("_FailedCall", failure)
    code = call.code()
    kind, meaning = _TYPES.get(code, (InternalError, "the server failed"))
    info, retry, bad = _details(call)
    text = _one_line(call.details() or "")
    if not info.reason:
        text = f"{meaning} ({text})" if text else meaning
    return kind(
        text,
        code=code,
        reason=info.reason,
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1000 if retry else None,
        field_violations=tuple(
            FieldViolation(_one_line(v.field), _one_line(v.description))
            for v in bad.field_violations
        ),
    )


def _details(
    call: _FailedCall,
) -> tuple[
    error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo | None, error_details_pb2.BadRequest
]:
    """Return ErrorInfo, RetryInfo and BadRequest; empty where the status has none."""
    # Not dict(metadata): the asyncio Metadata of older grpcio has pairs for keys.
    trailing = call.trailing_metadata() or ()
    packed = next((value for key, value in trailing if key == _DETAILS_KEY), b"")
    status = status_pb2.Status()
    info, retry, bad = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    found: list[Message] = []
    try:
        status.ParseFromString(packed if isinstance(packed, bytes) else b"")
        for detail in status.details:
            found += [known for known in (info, retry, bad) if detail.Unpack(known)]
    except DecodeError:
        # Details are an extra: a status is still one without them.
        found = [known for known in found if known is not retry]
    return info, retry if retry in found else None, bad


def _one_line(text: str) -> str:
    """Return text that cannot steer a terminal: printable, one line, not endless."""
    shown = "".join(c if c.isprintable() else " " for c in text[: _TEXT_MAX_CHARS + 1])
    return " ".join(shown.split())[:_TEXT_MAX_CHARS]
