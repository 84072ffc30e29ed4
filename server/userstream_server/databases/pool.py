"""A pool of database connections with fair waiting. Why it is our own: docs/adr/0010-connection-pool.md.

A connection returns to the pool only when its result was read to the end; otherwise it is discarded.
`fair_queue` decides which waiting query gets the next one.
"""

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from userstream_server.databases.fair_queue import FairQueue, LeaseClass
from userstream_server.databases.pool_state import Waits
from userstream_server.errors import CallCancelledError, OverloadedError

__all__ = ["Lease", "Pool", "Poolable"]

_IDLE_CHECK_SECONDS = 5.0
"""A connection idle for longer is pinged before use: the database may have closed it."""


class Poolable(Protocol):
    """A connection the pool can keep.

    Attributes:
        used_at: `time.monotonic()` of the last use.
        reusable: False once a result was left unread or the connection was killed.
    """

    used_at: float
    reusable: bool

    def close(self) -> None:
        """Close it at once."""

    def is_alive(self) -> bool:
        """Ask the database with one round trip."""


C = TypeVar("C", bound=Poolable)


class Lease(Generic[C]):
    """One query's claim to a connection. Entering waits for one; leaving returns or discards it.

    Args:
        pool: Where from.
        caller: Whose query it is; compared and never shown.
        kind: What for.

    Raises:
        OverloadedError: None came free in time.
        CallCancelledError: `cancel` was called meanwhile.
        UserStreamError: A new one could not be opened.
    """

    __slots__ = ("_connection", "_pool", "caller", "idle", "kind", "outcome", "woken")

    def __init__(self, pool: "Pool[C]", caller: str, kind: LeaseClass) -> None:
        self._pool = pool
        self._connection: C | None = None
        self.caller = caller
        self.kind = kind
        # The pool's, behind its lock: how the wait ended, what wakes it, and the idle connection it got.
        self.outcome = ""
        self.woken: threading.Event | None = None
        self.idle: C | None = None

    def cancel(self) -> None:
        """End the wait, also one that has not begun; a connection that was handed out stays. Any thread."""
        self._pool.settle(self, "cancelled")

    def __enter__(self) -> C:
        self._connection = connection = self._pool.take(self)
        return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None, "it was entered"  # noqa: S101
        if kind is not None:
            connection.reusable = False
        self._pool.give_back(self, connection)


class Pool(Generic[C]):
    """At most `size` connections, handed out for one query (or one snapshot) at a time.

    Args:
        connect: Opens a connection; raises UserStreamError.
        size: The most connections.
        wait_seconds: How long a query waits for a free one.
        caller_share: The share of them up to which a waiting caller goes before those that hold more.
        scans_share: The share of them that full scans may hold together.

    Attributes:
        size: The most connections.
        waits: The waits that have ended.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        *,
        size: int,
        wait_seconds: float,
        caller_share: float = 0.5,
        scans_share: float = 0.25,
    ) -> None:
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._queue: FairQueue[Lease[C]] = FairQueue(
            size, caller_share=caller_share, scans_share=scans_share
        )
        # The last used one goes first, so that the database can time the others out.
        self._idle: list[C] = []
        self._is_closed = False
        self.size = size
        self.waits = Waits()

    @property
    def in_use(self) -> int:
        """How many connections are handed out."""
        return self._queue.held.total()

    @property
    def waiting(self) -> int:
        """How many queries wait for one."""
        return sum(self.waiting_by_class().values())

    @property
    def callers_waiting(self) -> int:
        """How many callers these queries belong to."""
        return self._queue.callers

    def in_use_by_class(self) -> Mapping[str, int]:
        """Return how many connections are handed out, by class."""
        return {kind.value: self._queue.held[kind] for kind in LeaseClass}

    def waiting_by_class(self) -> Mapping[str, int]:
        """Return how many queries wait, by class."""
        with self._lock:
            waiting = self._queue.waiting()
        return {kind.value: waiting[kind] for kind in LeaseClass}

    def connection(self, caller: str = "", kind: LeaseClass = LeaseClass.LOOKUP) -> Lease[C]:
        """Return a lease, which takes a connection when it is entered."""
        return Lease(self, caller, kind)

    def take(self, lease: Lease[C]) -> C:
        """Return a connection that lives, for `Lease`."""
        if not self._take_at_once(lease):
            self._wait(lease)
        try:
            return _living(lease.idle) or self._connect()
        except BaseException:
            self._release(lease)
            raise

    def give_back(self, lease: Lease[C], connection: C) -> None:
        """Take a connection back or discard it, then serve those that wait."""
        connection.used_at = monotonic()
        try:
            if not connection.reusable or self._is_closed:
                connection.reusable = False
                connection.close()
        finally:
            self._release(lease, connection)

    def settle(self, lease: Lease[C], outcome: str) -> None:
        """End a lease's wait, unless it has ended."""
        with self._lock:
            if lease.outcome:
                return
            lease.outcome = outcome
            self._queue.leave(lease)
            if lease.woken:
                lease.woken.set()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._is_closed = True
        self.discard_idle()

    def discard_idle(self) -> None:
        """Close the idle connections; the next query opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take_at_once(self, lease: Lease[C]) -> bool:
        with self._lock:
            if not lease.outcome and self._queue.try_take(lease):
                self._serve(lease)
                return True
            lease.woken = threading.Event()
            if lease.outcome:
                lease.woken.set()
            else:
                self._queue.join(lease)
        return False

    def _wait(self, lease: Lease[C]) -> None:
        """Wait until the lease is served, cancelled, or has waited long enough."""
        assert lease.woken is not None, "it has joined the queue"  # noqa: S101
        began_at = monotonic()
        try:
            lease.woken.wait(self._wait_seconds)
        finally:
            self.settle(lease, "refused")
        with self._lock:
            self.waits.add(lease.kind, lease.outcome, monotonic() - began_at)
        if lease.outcome == "cancelled":
            raise CallCancelledError("CANCELLED", "The call was cancelled.")
        if lease.outcome == "refused":
            raise OverloadedError(
                "POOL_EXHAUSTED", "All database connections are busy. Try again a little later."
            )

    def _release(self, lease: Lease[C], connection: C | None = None) -> None:
        with self._lock:
            if connection is not None and connection.reusable:
                self._idle.append(connection)
            self._queue.release(lease)
            for served in self._queue.admit():
                self._serve(served)

    def _serve(self, lease: Lease[C]) -> None:
        lease.outcome = "served"
        lease.idle = self._idle.pop() if self._idle else None
        if lease.woken:
            lease.woken.set()


def _living(idle: C | None) -> C | None:
    """Return a connection if it still works; close it otherwise."""
    if idle is None or monotonic() - idle.used_at <= _IDLE_CHECK_SECONDS or idle.is_alive():
        return idle
    idle.close()
    return None
