"""One line a call."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from uuid import uuid4

import grpc
import structlog

from userstream_server.interceptors.surrounding import SurroundingInterceptor

__all__ = ["LoggingInterceptor"]

_log = structlog.get_logger()
_REQUEST_ID = "x-request-id"
_REQUEST_ID_MAX_CHARS = 64


class LoggingInterceptor(SurroundingInterceptor):
    """Logs method, peer, request id, status, duration, and what the call noted of itself while it ran."""

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """See the base class."""
        started_at = monotonic()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            method=method.rpartition("/")[2], peer=context.peer(), request_id=_request_id(context)
        )
        try:
            yield
        finally:
            _log.info("call", status=_status(context), seconds=round(monotonic() - started_at, 4))
            structlog.contextvars.clear_contextvars()


def _request_id(context: grpc.ServicerContext) -> str:
    """Return the caller's x-request-id where it is a harmless one, else a new one; send it back either way."""
    sent = dict(context.invocation_metadata()).get(_REQUEST_ID, "")
    harmless = (
        isinstance(sent, str) and 0 < len(sent) <= _REQUEST_ID_MAX_CHARS and sent.isprintable()
    )
    request_id = str(sent) if harmless else uuid4().hex
    context.set_trailing_metadata(((_REQUEST_ID, request_id),))
    return request_id


def _status(context: grpc.ServicerContext) -> str:
    code = context.code()  # type: ignore[attr-defined]  # missing in the types only
    if code is None:
        return "OK" if context.is_active() else "CANCELLED"
    return code.name if isinstance(code, grpc.StatusCode) else str(code)
