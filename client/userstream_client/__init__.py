"""The Python client of userstream: the users of a MySQL table as generators, verified to the last row.

from userstream_client import UserFilter, UserStreamClient

with UserStreamClient("127.0.0.1:50051") as client:
    for user in client.stream_users(UserFilter(age_over=25)):
        print(user.name)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from userstream_client._client import UserStreamClient
from userstream_client._retry import ResumePolicy
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
    SettingsError,
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
    Freshness,
    Health,
    HealthStatus,
    Page,
    Partition,
    Progress,
    Receipt,
    TlsOptions,
    User,
    UserFilter,
    UserLookup,
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
    "Freshness",
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
    "UserLookup",
    "UserStream",
    "UserStreamClient",
    "UserStreamError",
]

if TYPE_CHECKING:
    from userstream_client._async_client import AsyncUserStreamClient
    from userstream_client._async_streams import AsyncBatchStream, AsyncUserStream
else:
    # Out of the type checker's sight, which would take any misspelt name for one that is found here.
    _LATE = {
        "AsyncBatchStream": "userstream_client._async_streams",
        "AsyncUserStream": "userstream_client._async_streams",
        "AsyncUserStreamClient": "userstream_client._async_client",
    }

    def __getattr__(name: str) -> Any:
        """Import the asyncio client when it is first asked for: most programs use one of the two."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_LATE[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Return every name, also those not imported yet."""
        return sorted({*globals(), *__all__})
