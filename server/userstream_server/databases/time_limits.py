"""What bounds one call at the database, whichever database it is: its deadline, its cancellation, and snapshots."""

import threading
from collections.abc import Iterator
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
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Make every later check fail."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    def check_cancelled(self) -> None:
        """Raise CallCancelledError once the call is cancelled."""
        if self._cancelled.is_set():
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
    """A number that several threads count up."""

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
    """How many snapshots may be open at once; each holds a connection and old versions of rows.

    Args:
        most: The limit.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def opened(self, session: SessionT, *, snapshot: bool) -> Iterator[SessionT]:
        """Yield a session for the block, with one read view throughout if `snapshot` asks for it.

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
        """Count one for the block.

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
