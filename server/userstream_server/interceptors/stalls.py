"""Ending calls whose consumer has stopped reading, or has never sent its request.

Such a caller costs a thread and a chunk of memory for as long as it stays. Neither keepalive (its
system still answers pings) nor a deadline (there may be none) ends it; a clock on each wait does.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import Any

import grpc
import structlog

from userstream_server.interceptors.surrounding import Behaviour, SurroundingInterceptor

__all__ = ["StallInterceptor"]

_log = structlog.get_logger()
_STALLED_AFTER_SECONDS = 1.0
"""A send that takes longer counts as stalled in `stalled`; it is not ended for that yet."""


class _Wait:
    """One call that waits for its caller.

    Attributes:
        context: The call.
        timeout_seconds: How long it may wait.
        event: What the log says when that is over.
        since: When it began to wait; None while it does not.
    """

    __slots__ = ("context", "event", "since", "timeout_seconds")

    def __init__(self, context: grpc.ServicerContext, timeout_seconds: float, event: str) -> None:
        self.context = context
        self.timeout_seconds = timeout_seconds
        self.event = event
        self.since: float | None = None

    def seconds(self) -> float:
        """Return how long it has waited."""
        since = self.since
        return 0.0 if since is None else monotonic() - since


class StallInterceptor(SurroundingInterceptor):
    """Cancels a call when one message is not taken in time, or the request does not come.

    Args:
        send_timeout_seconds: How long a message may take to leave.
        request_timeout_seconds: How long the request may take to come.

    Attributes:
        cancelled: How many calls were ended so far.
    """

    def __init__(self, send_timeout_seconds: float, request_timeout_seconds: float) -> None:
        """See the class; starts its thread."""
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
        """How many calls wait for their consumer just now."""
        return sum(wait.seconds() > _STALLED_AFTER_SECONDS for wait in self._all())

    def around(self, method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:  # noqa: ARG002
        """See the base class; calls with one answer need no watching."""
        return nullcontext()

    @contextmanager
    def awaiting_request(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Cancel the call if the block, which reads the request, takes too long."""
        with self._watching(
            _Wait(context, self._request_seconds, "call_without_request_cancelled")
        ) as wait:
            wait.since = monotonic()
            yield

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join()

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:  # noqa: ARG002
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            wait = _Wait(context, self._send_seconds, "stalled_call_cancelled")
            with self._watching(wait):
                for message in behaviour(request, context):
                    wait.since = monotonic()
                    yield message
                    wait.since = None

        return call

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
                    # The handler waits inside gRPC and cannot say more; a resume token makes up for it.
                    wait.context.cancel()
                    wait.since = None
                    self.cancelled += 1
