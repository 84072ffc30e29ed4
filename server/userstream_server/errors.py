"""What can go wrong, in the service's own words, and the one table from that to statuses.

Everything that reaches a caller is written here or raised as one of these types. Driver text, SQL,
hosts and personal data never are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from google.rpc import code_pb2

__all__ = [
    "DOMAIN",
    "STATUSES",
    "AccessDeniedError",
    "CallCancelledError",
    "ConflictError",
    "DeadlineError",
    "FieldViolation",
    "InternalError",
    "InvalidRequestError",
    "OverloadedError",
    "PreconditionError",
    "UnauthenticatedError",
    "UnavailableError",
    "UserStreamError",
]

DOMAIN = "userstream"
"""The domain of every google.rpc.ErrorInfo."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field that breaks a rule.

    Attributes:
        field: The field's path as the proto spells it, such as `filter.age_over`.
        description: What it takes, without what was sent.
    """

    field: str
    description: str


class UserStreamError(Exception):
    """An error a caller may see.

    Args:
        reason: A fixed upper-case word for programs (google.rpc.ErrorInfo.reason).
        message: A sentence for people that says what to do.
        retry_after_seconds: When trying again makes sense; sent as google.rpc.RetryInfo.
        metadata: Facts for programs (google.rpc.ErrorInfo.metadata).
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.metadata = dict(metadata or {})
        self.reason = reason
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class InvalidRequestError(UserStreamError):
    """The request breaks one or more rules; the call can never succeed as it is."""

    def __init__(
        self, violations: Sequence[FieldViolation], *, reason: str = "INVALID_REQUEST"
    ) -> None:
        """Take every violation found, at least one."""
        self.violations = tuple(violations)
        super().__init__(reason, "; ".join(f"{v.field}: {v.description}" for v in self.violations))


class UnauthenticatedError(UserStreamError):
    """The caller did not say who it is, or not credibly."""


class AccessDeniedError(UserStreamError):
    """The caller is known and may not do this."""


class PreconditionError(UserStreamError):
    """Operator action required: the table, the database's users or the settings are wrong."""


class ConflictError(UserStreamError):
    """The database chose this query as a deadlock's victim; resume from the last token."""


class DeadlineError(UserStreamError):
    """The caller's deadline or one of the service's own time limits is over."""


class CallCancelledError(UserStreamError):
    """The caller went away, or the server is closing this call."""


class OverloadedError(UserStreamError):
    """A limit is reached; try again later."""


class UnavailableError(UserStreamError):
    """The database or this server is away; resume from the last token."""


class InternalError(UserStreamError):
    """A defect. The text is fixed; the log has the rest."""

    TEXT: ClassVar[str] = "Internal error. The server's log has the details under the request id."

    def __init__(self, reason: str = "INTERNAL") -> None:
        """Take no text: a defect's own words may hold what must not leave the server."""
        super().__init__(reason, self.TEXT)


# RESOURCE_EXHAUSTED and UNAVAILABLE always say when to retry.
STATUSES: dict[type[UserStreamError], tuple[int, float | None]] = {
    InvalidRequestError: (code_pb2.INVALID_ARGUMENT, None),
    UnauthenticatedError: (code_pb2.UNAUTHENTICATED, None),
    AccessDeniedError: (code_pb2.PERMISSION_DENIED, None),
    PreconditionError: (code_pb2.FAILED_PRECONDITION, None),
    ConflictError: (code_pb2.ABORTED, None),
    DeadlineError: (code_pb2.DEADLINE_EXCEEDED, None),
    CallCancelledError: (code_pb2.CANCELLED, None),
    OverloadedError: (code_pb2.RESOURCE_EXHAUSTED, 1.0),
    UnavailableError: (code_pb2.UNAVAILABLE, 0.5),
    InternalError: (code_pb2.INTERNAL, None),
}
"""The status code of each error, and when to retry where the error itself does not say."""
