"""Cancellation: when a call ends early, its database queries end too.

gRPC reports the end of a call on its only serving thread, which must never block. That thread only
queues the session; a few other threads interrupt it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import grpc

from userstream_server.errors import CallCancelledError
from userstream_server.rows.session import Session

__all__ = ["SessionInterrupter"]

_THREADS = 4
"""Interrupting opens a database connection, so one slow attempt must not delay the others."""


class SessionInterrupter:
    """Keeps the sessions of running calls and interrupts those whose call has ended."""

    def __init__(self) -> None:
        """Start the interrupting threads."""
        self._ended: SimpleQueue[Session | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: set[Session] = set()
        self._threads = [
            threading.Thread(target=self._interrupt_ended, name=f"interrupt-{n}", daemon=True)
            for n in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def watching(self, context: grpc.ServicerContext, session: Session) -> Iterator[None]:
        """Interrupt the session if the call ends before the block does.

        Raises:
            CallCancelledError: The call has ended already.
        """
        with self._lock:
            self._running.add(session)
        try:
            if not context.add_callback(lambda: self._ended.put(session)):
                raise CallCancelledError("CANCELLED", "The call was cancelled.")
            yield
        finally:
            with self._lock:
                self._running.discard(session)

    def interrupt_all(self) -> None:
        """Interrupt every running call's queries; used when the drain time is over."""
        with self._lock:
            running = list(self._running)
        for session in running:
            self._ended.put(session)

    def close(self) -> None:
        """Stop the threads once the queue is empty."""
        for _ in self._threads:
            self._ended.put(None)
        for thread in self._threads:
            thread.join()

    def _interrupt_ended(self) -> None:
        while (session := self._ended.get()) is not None:
            with self._lock:
                running = session in self._running
            if running:
                session.interrupt()
