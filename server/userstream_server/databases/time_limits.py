"""The limits of one call at the database, the same for every database: deadline, cancellation, snapshots."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import monotonic
from typing import Protocol, TypeVar

from userstream_server.errors import CallCancelledError, DeadlineError, OverloadedError

__all__ = ["CallLimits", "SnapshotViews", "Tally"]


class CallLimits:
    """One call's time and whether it was cancelled.

    Args:
        deadline_seconds: The call's remaining time; None when the caller set none.
        query_timeout_seconds: The longest any query may take.
    """

    def __init__(self, deadline_seconds: float | None, query_timeout_seconds: float) -> None:
        self._deadline_at = None if deadline_seconds is None else monotonic() + deadline_seconds
        self._query_timeout_seconds = query_timeout_seconds
        self._lock = threading.Lock()
        self._cancelled = False
        self._wakers: set[Callable[[], None]] = set()

    def cancel(self) -> None:
        """Make every later check fail and end the waits that run. Any thread."""
        with self._lock:
            self._cancelled = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `cancel` call `wake` during the block; at once if the call is cancelled already."""
        with self._lock:
            self._wakers.add(wake)
            is_late = self._cancelled
        try:
            if is_late:
                wake()
            yield
        finally:
            with self._lock:
                self._wakers.discard(wake)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def check_cancelled(self) -> None:
        """Raise CallCancelledError once the call is cancelled."""
        if self._cancelled:
            raise CallCancelledError("CANCELLED", "The call was cancelled.") from None

    def query_seconds(self) -> float:
        """Return how long the next query may take.

        Raises:
            DeadlineError: No time is left.
        """
        if self._deadline_at is None:
            return self._query_timeout_seconds
        left = self._deadline_at - monotonic()
        if left <= 0:
            raise DeadlineError("CALL_DEADLINE", "The call's deadline is over.") from None
        return min(left, self._query_timeout_seconds)


class Tally:
    """A counter for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        """Count one."""
        with self._lock:
            self.count += 1


class _CanHoldAView(Protocol):
    def snapshot(self) -> AbstractContextManager[None]: ...


SessionT = TypeVar("SessionT", bound=_CanHoldAView)


class SnapshotViews:
    """Limits how many snapshots are open at once: each holds a connection and old versions of rows.

    Args:
        most: The limit.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def opened(self, session: SessionT, *, snapshot: bool) -> Iterator[SessionT]:
        """Yield a session for the block; if `snapshot` is set, with one read view throughout.

        Raises:
            OverloadedError: The limit of snapshots is reached.
        """
        with ExitStack() as stack:
            if snapshot:
                stack.enter_context(self.one())
                stack.enter_context(session.snapshot())
            yield session

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one snapshot as open during the block.

        Raises:
            OverloadedError: The limit is reached.
        """
        if not self._free.acquire(blocking=False):
            raise OverloadedError(
                "TOO_MANY_SNAPSHOTS",
                "Too many SNAPSHOT streams are open. Try again later, or use LIVE consistency.",
            )
        try:
            yield
        finally:
            self._free.release()
