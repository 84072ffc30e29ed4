"""Ends the sync client's attempts that bring no message for too long; gRPC itself may wait for ever."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Watch", "Watchdog"]


class _Cancellable(Protocol):
    def cancel(self) -> object: ...


class Watch:
    """One watched call.

    Attributes:
        waiting_since: When the current wait for a message began, in seconds of monotonic time. None
            while the consumer works: it may take as long as it likes.
        fired: Whether the wait was too long.
    """

    __slots__ = ("call", "fired", "waiting_since")

    def __init__(self, call: _Cancellable) -> None:
        self.call = call
        self.waiting_since: float | None = None
        self.fired = False


class Watchdog:
    """One thread that checks all calls of a client; it runs only while there are any.

    Args:
        limit_seconds: The longest wait for a message.
    """

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._running = False

    @contextmanager
    def watching(self, call: _Cancellable) -> Iterator[Watch]:
        """Watch a call while the block runs."""
        watch = Watch(call)
        with self._changed:
            self._watches.add(watch)
            if not self._running:
                self._running = True
                threading.Thread(target=self._look, name="userstream-watchdog", daemon=True).start()
        try:
            yield watch
        finally:
            with self._changed:
                self._watches.discard(watch)
                self._changed.notify()

    def _look(self) -> None:
        pause = min(1.0, self.limit_seconds / 4)
        with self._changed:
            while self._watches:
                self._changed.wait_for(lambda: not self._watches, timeout=pause)
                now = time.monotonic()
                for watch in self._watches:
                    since = watch.waiting_since
                    if since is not None and now - since > self.limit_seconds and not watch.fired:
                        watch.fired = True
                        watch.call.cancel()
            self._running = False
