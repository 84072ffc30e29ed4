"""How many calls may run and wait at once, in all and per caller."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.errors import OverloadedError
from userstream_server.interceptors.base import REFLECTION, Call, CallInterceptor
from userstream_server.interceptors.caller import caller_of

__all__ = ["ConcurrencyInterceptor"]


class ConcurrencyInterceptor(CallInterceptor):
    """Refuses calls beyond the limits soon, so that a caller can try another server.

    Args:
        streams_max: The most calls at once.
        per_caller_max: The most calls of one caller at once, including those that wait.
        waiting_max: The most calls that wait for another to end.
        wait_seconds: How long one waits.
    """

    def __init__(
        self, streams_max: int, *, per_caller_max: int, waiting_max: int, wait_seconds: float
    ) -> None:
        self._free = threading.BoundedSemaphore(streams_max)
        self._waiting = threading.BoundedSemaphore(waiting_max)
        self._wait_seconds = wait_seconds
        self._per_caller_max = per_caller_max
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()

    def applies_to(self, method: str) -> bool:
        """Count the service's own calls only."""
        return super().applies_to(method) and not method.startswith(REFLECTION)

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Count the call while it runs, after a wait if need be.

        Raises:
            OverloadedError: Too many calls run already.
        """
        with self._one_of(caller_of(call.context)):
            if not (self._free.acquire(blocking=False) or self._wait()):
                raise OverloadedError(
                    "TOO_MANY_CALLS",
                    "This server has as many calls as it takes. Try again, or another one.",
                )
            try:
                yield
            finally:
                self._free.release()

    @contextmanager
    def _one_of(self, caller: str) -> Iterator[None]:
        """Count a caller's call for the block; callers without calls take no memory."""
        with self._lock:
            if self._calls[caller] >= self._per_caller_max:
                raise OverloadedError(
                    "TOO_MANY_CALLS_OF_CALLER",
                    "This server runs as many calls of this caller as it takes. End one first.",
                )
            self._calls[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls[caller] -= 1
                if not self._calls[caller]:
                    del self._calls[caller]

    def _wait(self) -> bool:
        """Wait for another call to end, unless too many wait already; say whether this one may run."""
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._free.acquire(timeout=self._wait_seconds)
        finally:
            self._waiting.release()
