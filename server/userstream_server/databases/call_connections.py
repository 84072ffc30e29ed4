"""The connection pool as one call uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from userstream_server.databases.fair_queue import LeaseClass
from userstream_server.databases.pool import Pool, Poolable
from userstream_server.databases.time_limits import CallLimits
from userstream_server.rows.sql import Query, Reach

__all__ = ["CallConnections"]

_QUICK_SECONDS = 0.25
"""As long as a chunk is meant to last (rows/keyset.py). A filtered query that takes longer is a full scan."""

C = TypeVar("C", bound=Poolable)


class CallConnections(Generic[C]):
    """Takes connections for one call's queries; a wait for one ends when the call is cancelled.

    A filter may match every second user or nobody, so only running a filtered query shows how far it
    reads. If a call's last one was quick, the next one is a lookup, otherwise a full scan.

    Args:
        pool: The connections.
        caller: Whose call it is.
        limits: The call's.
    """

    def __init__(self, pool: Pool[C], caller: str, limits: CallLimits) -> None:
        self._pool = pool
        self._caller = caller
        self._limits = limits
        self._filtered = LeaseClass.FILTERED

    @contextmanager
    def for_query(self, query: Query) -> Iterator[C]:
        """Hold a connection while the block runs a query; raises what `pool.Lease` does."""
        with self._leased(self._class_of(query)) as connection:
            began_at = monotonic()
            yield connection
            if query.reach is Reach.UNKNOWN:
                is_quick = monotonic() - began_at < _QUICK_SECONDS
                self._filtered = LeaseClass.LOOKUP if is_quick else LeaseClass.SCAN

    @contextmanager
    def for_lookup(self) -> Iterator[C]:
        """Hold a connection for a short query; raises what `pool.Lease` does."""
        with self._leased(LeaseClass.LOOKUP) as connection:
            yield connection

    @contextmanager
    def for_wait(self) -> Iterator[C]:
        """Hold a connection for a query that waits, as long as a full scan may take; raises what `pool.Lease` does."""
        with self._leased(LeaseClass.SCAN) as connection:
            yield connection

    @contextmanager
    def for_snapshot(self) -> Iterator[C]:
        """Hold a connection for a stream's read view; raises what `pool.Lease` does."""
        with self._leased(LeaseClass.SNAPSHOT) as connection:
            yield connection

    def _class_of(self, query: Query) -> LeaseClass:
        if query.reach is Reach.UNKNOWN:
            return self._filtered
        return LeaseClass.LOOKUP if query.reach is Reach.ROWS else LeaseClass.SCAN

    @contextmanager
    def _leased(self, kind: LeaseClass) -> Iterator[C]:
        lease = self._pool.connection(self._caller, kind)
        with self._limits.waking(lease.cancel), lease as connection:
            yield connection
