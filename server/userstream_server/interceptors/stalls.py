"""Ends calls whose consumer has stopped reading, or whose caller never sends its request.

Such a call costs a thread and a chunk of memory for as long as it stays. Keepalive does not end it (the
caller's system still answers pings) and there may be no deadline, so each wait has a time limit.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import grpc
import structlog

from userstream_server.call_stats import current_call_stats
from userstream_server.errors import DeadlineError, OverloadedError, UserStreamError
from userstream_server.grpc_internals import end_call
from userstream_server.interceptors.base import Call, CallInterceptor, MessageHook
from userstream_server.interceptors.status import status_of

__all__ = ["StallInterceptor"]

_log = structlog.get_logger()
_STALLED_AFTER_SECONDS = 1.0
"""A send that takes longer counts as stalled; the call ends only after the timeout."""


class _Wait(MessageHook):
    """One call's waits for its caller.

    Attributes:
        context: The call.
        timeout_seconds: How long it may wait.
        event: The log event when it waited too long.
        error: What the call ends with then.
        since: When the wait began; None while it does not wait.
        over: Whether the call was ended for that.
    """

    __slots__ = ("context", "error", "event", "over", "since", "timeout_seconds")

    def __init__(
        self,
        context: grpc.ServicerContext,
        timeout_seconds: float,
        event: str,
        error: UserStreamError,
    ) -> None:
        self.context = context
        self.timeout_seconds = timeout_seconds
        self.event = event
        self.error = error
        self.since: float | None = None
        self.over = False

    def sending(self, message: Any) -> None:  # noqa: ARG002 - any message is waited for
        """Begin to wait for the consumer."""
        self.since = monotonic()

    def sent(self) -> None:
        """End the wait."""
        self.since = None

    def seconds(self) -> float:
        """Return how long the wait has lasted."""
        since = self.since
        return 0.0 if since is None else monotonic() - since


class StallInterceptor(CallInterceptor):
    """Ends a call whose consumer does not take a message in time, or whose request does not arrive.

    Args:
        send_timeout_seconds: How long a message may take to leave.
        request_timeout_seconds: How long the request may take to arrive.

    Attributes:
        cancelled: How many calls were ended so far.
    """

    def __init__(self, send_timeout_seconds: float, request_timeout_seconds: float) -> None:
        """Start the watching thread."""
        self._send_seconds = send_timeout_seconds
        self._request_seconds = request_timeout_seconds
        self._lock = threading.Lock()
        self._waits: set[_Wait] = set()
        self.cancelled = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stalls", daemon=True)
        self._thread.start()

    @property
    def stalled(self) -> int:
        """How many calls wait for their caller just now."""
        return sum(wait.seconds() > _STALLED_AFTER_SECONDS for wait in self._all())

    @contextmanager
    def around(self, call: Call) -> Iterator[MessageHook]:
        """Watch how long each message takes to leave."""
        text = f"The consumer read nothing for {self._send_seconds:g} seconds. Resume from the last token."
        error = OverloadedError("CONSUMER_STALLED", text)
        wait = _Wait(call.context, self._send_seconds, "stalled_call_cancelled", error)
        with self._watching(wait):
            try:
                yield wait
            finally:
                if wait.over:
                    current_call_stats().reason = error.reason
                    structlog.contextvars.bind_contextvars(reason=error.reason)

    @contextmanager
    def awaiting_request(self, context: grpc.ServicerContext) -> Iterator[None]:
        """End the call if the block, which reads the request, takes too long.

        Raises:
            DeadlineError: The request did not arrive in time.
        """
        text = f"The request did not come within {self._request_seconds:g} seconds."
        error = DeadlineError("REQUEST_TIMEOUT", text)
        with self._watching(
            _Wait(context, self._request_seconds, "call_without_request_cancelled", error)
        ) as wait:
            wait.since = monotonic()
            try:
                yield
            except grpc.RpcError:  # how gRPC reports here that the call has ended
                if not wait.over:
                    raise
            # Or it ends the requests, as if there were none.
            if wait.over:
                raise error

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join()

    @contextmanager
    def _watching(self, wait: _Wait) -> Iterator[_Wait]:
        with self._lock:
            self._waits.add(wait)
        try:
            yield wait
        finally:
            with self._lock:
                self._waits.discard(wait)

    def _all(self) -> list[_Wait]:
        with self._lock:
            return list(self._waits)

    def _watch(self) -> None:
        while not self._closing.wait(min(1.0, self._send_seconds / 4, self._request_seconds / 4)):
            for wait in self._all():
                if wait.seconds() > wait.timeout_seconds:
                    _log.warning(wait.event, peer=wait.context.peer())
                    wait.over = True
                    _end(wait.context, wait.error)
                    wait.since = None
                    self.cancelled += 1


def _end(context: Any, error: UserStreamError) -> None:
    """End a call whose handler is blocked inside gRPC; the reason is the first word of the status's text."""
    status = status_of(error)
    context.set_code(status.code)  # for the log and the metrics
    end_call(context, status.code.value[0], f"{error.reason}: {error.message}")
