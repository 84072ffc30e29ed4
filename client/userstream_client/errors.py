"""The errors of the client, and the one table from gRPC statuses to their types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import grpc

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
    "SettingsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "UserStreamError",
    "error_from_call",
]

_TEXT_MAX_CHARS = 500


class SettingsError(Exception):
    """One or more settings are wrong; `str()` has a line for each, and never a secret."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field that breaks a rule: its path as the proto spells it, and what it takes."""

    field: str
    description: str


class UserStreamError(Exception):
    """Any failure of a call.

    Attributes:
        message: One line for people: what happened, then what to do.
        code: The gRPC status; None where the client itself found the fault.
        reason: A fixed upper-case word for programs; empty where the service gave none.
        retry_after_seconds: How long to wait before a retry; None where the server did not say.
        field_violations: The fields of the request that are wrong.
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
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.field_violations = field_violations


class InvalidRequestError(UserStreamError):
    """The request breaks a rule, or a token belongs to another request."""


class UnauthenticatedError(UserStreamError):
    """The server requires a token, or refuses the one it got."""


class PermissionDeniedError(UserStreamError):
    """The server knows the caller and refuses it."""


class PreconditionFailedError(UserStreamError):
    """Operator action required: the server's database or settings are wrong."""


class OverloadedError(UserStreamError):
    """One of the server's limits is reached."""


class UnavailableError(UserStreamError):
    """The server or its database cannot be reached."""


class ConflictError(UserStreamError):
    """The database ended this query in favour of another (a deadlock)."""


class DeadlineExceededError(UserStreamError):
    """A time limit has passed: the call's, that of one wait for a message, or the server's own."""


class CallCancelledError(UserStreamError):
    """The call was cancelled, by this side or by the server."""


class UnsupportedError(UserStreamError):
    """The server does not know this call."""


class InternalError(UserStreamError):
    """A defect of the server, or a program in between that does not speak gRPC."""


class DataIntegrityError(UserStreamError):
    """What was received is not what the server promises; nothing after it is delivered."""


class ReceiptMismatchError(DataIntegrityError):
    """The receipt differs from what was received or requested: count, CRC-32, consistency or resumes."""


class OutOfOrderError(DataIntegrityError):
    """A user came out of order, or twice."""


class IncompleteStreamError(DataIntegrityError):
    """A stream ended OK without its receipt or its last message."""


# The text is for a status that came without one of the service's own.
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
    # Late, because most programs never see a failed call.
    from userstream_client._error_details import read_details  # noqa: PLC0415

    call = cast("_FailedCall", failure)
    code = call.code()
    kind, meaning = _TYPES.get(code, (InternalError, "the server failed"))
    info, retry, bad = read_details(call.trailing_metadata())
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


def _one_line(text: str) -> str:
    """Return text that is safe for a terminal: printable, one line, of limited length."""
    shown = "".join(c if c.isprintable() else " " for c in text[: _TEXT_MAX_CHARS + 1])
    return " ".join(shown.split())[:_TEXT_MAX_CHARS]
