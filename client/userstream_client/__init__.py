"""The Python client of userstream: the users of a MySQL table as generators, verified to the last row.

from userstream_client import UserFilter, UserStreamClient

with UserStreamClient("127.0.0.1:50051") as client:
    for user in client.stream_users(UserFilter(age_over=25)):
        print(user.name)
"""

from userstream_client._async_client import AsyncUserStreamClient
from userstream_client._async_streams import AsyncBatchStream, AsyncUserStream
from userstream_client._channel import TlsOptions
from userstream_client._client import UserStreamClient
from userstream_client._retry import ResumePolicy
from userstream_client._settings import SettingsError
from userstream_client._streams import BatchStream, UserStream
from userstream_client.errors import (
    CallCancelledError,
    ConflictError,
    DataIntegrityError,
    DeadlineExceededError,
    FieldViolation,
    IncompleteStreamError,
    InternalError,
    InvalidRequestError,
    OutOfOrderError,
    OverloadedError,
    PermissionDeniedError,
    PreconditionFailedError,
    ReceiptMismatchError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UserStreamError,
)
from userstream_client.models import (
    AgeCount,
    AverageAge,
    AverageAgeProgress,
    Checkpoint,
    Consistency,
    Health,
    HealthStatus,
    Page,
    Partition,
    Progress,
    Receipt,
    User,
    UserFilter,
)

__all__ = [
    "AgeCount",
    "AsyncBatchStream",
    "AsyncUserStream",
    "AsyncUserStreamClient",
    "AverageAge",
    "AverageAgeProgress",
    "BatchStream",
    "CallCancelledError",
    "Checkpoint",
    "ConflictError",
    "Consistency",
    "DataIntegrityError",
    "DeadlineExceededError",
    "FieldViolation",
    "Health",
    "HealthStatus",
    "IncompleteStreamError",
    "InternalError",
    "InvalidRequestError",
    "OutOfOrderError",
    "OverloadedError",
    "Page",
    "Partition",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "Progress",
    "Receipt",
    "ReceiptMismatchError",
    "ResumePolicy",
    "SettingsError",
    "TlsOptions",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "User",
    "UserFilter",
    "UserStream",
    "UserStreamClient",
    "UserStreamError",
]
