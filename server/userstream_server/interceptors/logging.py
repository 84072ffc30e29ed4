"""One log line per call."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from uuid import uuid4

import grpc
import structlog

from userstream_server.call_stats import begin_call_stats
from userstream_server.interceptors.base import Call, CallInterceptor, call_status

__all__ = ["REQUEST_ID", "LoggingInterceptor"]

_log = structlog.get_logger()
REQUEST_ID = "x-request-id"
_HARMLESS = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")
"""What request ids are made of in practice. No spaces, quotes or @, so that nobody's address gets into a log."""


class LoggingInterceptor(CallInterceptor):
    """Logs request id, method, peer, status, rows, duration, and what the call bound to the log while it ran."""

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Begin the call's stats and log them at its end."""
        started_at = monotonic()
        stats = begin_call_stats(call.method.rpartition("/")[2])
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            method=stats.method, peer=call.context.peer(), request_id=_request_id(call.context)
        )
        try:
            yield
        finally:
            _log.info(
                "call",
                status=call_status(call.context),
                rows=stats.rows,
                duration_seconds=round(monotonic() - started_at, 4),
            )
            structlog.contextvars.clear_contextvars()


def _request_id(context: grpc.ServicerContext) -> str:
    """Return the caller's x-request-id if it is harmless, else a new one; either way it goes back to the caller."""
    sent = dict(context.invocation_metadata()).get(REQUEST_ID, "")
    request_id = sent if isinstance(sent, str) and _HARMLESS.fullmatch(sent) else uuid4().hex
    context.set_trailing_metadata(((REQUEST_ID, request_id),))
    return request_id
