"""Every error leaves the server as a rich status."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from userstream_server.call_stats import current_call_stats
from userstream_server.errors import (
    DOMAIN,
    STATUSES,
    InternalError,
    InvalidRequestError,
    UserStreamError,
)
from userstream_server.interceptors.base import Call, CallInterceptor

__all__ = ["StatusInterceptor", "status_of"]

_log = structlog.get_logger()


class StatusInterceptor(CallInterceptor):
    """Turns domain errors into their statuses, and anything else into INTERNAL with a fixed text."""

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """End the call with the status of whatever error the block raises."""
        try:
            yield
        except UserStreamError as error:
            _note(error)
            _abort(call.context, error)
        except Exception as error:
            if call.context.code() is not None:  # type: ignore[attr-defined]  # aborted by a library's servicer
                raise
            _log.error("defect", error=type(error).__name__, where=_where(error))
            _note(internal := InternalError())
            _abort(call.context, internal)


def _abort(context: grpc.ServicerContext, error: UserStreamError) -> None:
    """End the call; its status joins the trailing metadata set before, such as the request id."""
    status = status_of(error)
    before = context.trailing_metadata() or ()
    context.set_trailing_metadata((*before, *(status.trailing_metadata or ())))
    context.abort(status.code, status.details)


def _note(error: UserStreamError) -> None:
    """Put the reason on the call's log line and into its stats."""
    current_call_stats().reason = error.reason
    structlog.contextvars.bind_contextvars(reason=error.reason)
    if isinstance(error, InternalError) and error.__cause__ is not None:
        cause = error.__cause__
        # The number only: a driver's text can hold values.
        _log.error("database_error", number=getattr(cause, "errno", None), where=_where(cause))


def _where(error: BaseException) -> list[str]:
    """Return the stack as file:line in function, without the error's text, which may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]


def status_of(error: UserStreamError) -> grpc.Status:
    """Return the rich gRPC status for an error, ready for `context.abort_with_status`."""
    code, default_retry = STATUSES[type(error)]
    status = status_pb2.Status(code=code, message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    status.details.add().Pack(info)
    if isinstance(error, InvalidRequestError):
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(bad)
    retry = error.retry_after_seconds if error.retry_after_seconds is not None else default_retry
    if retry is not None:
        delay = Duration()
        delay.FromMilliseconds(round(retry * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return cast("grpc.Status", rpc_status.to_status(status))
