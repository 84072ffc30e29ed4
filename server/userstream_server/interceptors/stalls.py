"""Ending calls whose consumer has stopped reading.

A stalled consumer costs a thread and a chunk of memory for as long as it stays. Neither keepalive (its
system still answers pings) nor a deadline (there may be none) ends it; a clock on each send does.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

import grpc
import structlog

from userstream_server.interceptors.surrounding import Behaviour, SurroundingInterceptor

__all__ = ["StallInterceptor"]

_log = structlog.get_logger()
_STALLED_AFTER_SECONDS = 1.0
"""A send that takes longer counts as stalled in `stalled`; it is not ended for that yet."""


class _Send:
    """One call's current message.

    Attributes:
        context: The call.
        since: When the message was handed to gRPC; None while there is none.
    """

    __slots__ = ("context", "since")

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self.since: float | None = None


class StallInterceptor(SurroundingInterceptor):
    """Cancels a call when one message is not taken in time.

    Args:
        send_timeout_seconds: How long a message may take to leave.

    Attributes:
        cancelled: How many calls were ended so far.
    """

    def __init__(self, send_timeout_seconds: float) -> None:
        """See the class; starts its thread."""
        self._timeout_seconds = send_timeout_seconds
        self._lock = threading.Lock()
        self._sends: set[_Send] = set()
        self.cancelled = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stalls", daemon=True)
        self._thread.start()

    @property
    def stalled(self) -> int:
        """How many calls wait for their consumer just now."""
        return len(self._older_than(_STALLED_AFTER_SECONDS))

    def around(self, method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:  # noqa: ARG002
        """See the base class; calls with one answer need no watching."""
        return nullcontext()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join()

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:  # noqa: ARG002
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            send = _Send(context)
            with self._lock:
                self._sends.add(send)
            try:
                for message in behaviour(request, context):
                    send.since = monotonic()
                    yield message
                    send.since = None
            finally:
                with self._lock:
                    self._sends.discard(send)

        return call

    def _older_than(self, seconds: float) -> list[_Send]:
        before = monotonic() - seconds
        with self._lock:
            return [s for s in self._sends if s.since is not None and s.since < before]

    def _watch(self) -> None:
        while not self._closing.wait(min(1.0, self._timeout_seconds / 4)):
            for send in self._older_than(self._timeout_seconds):
                _log.warning("stalled_call_cancelled", peer=send.context.peer())
                # The handler waits inside gRPC and cannot say more; a resume token makes up for it.
                send.context.cancel()
                send.since = None
                self.cancelled += 1
