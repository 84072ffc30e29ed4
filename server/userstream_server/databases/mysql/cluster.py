"""MySQL or MariaDB on several hosts with the same data."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from userstream_server.databases.database import DatabaseFound, Driver
from userstream_server.databases.host_state import HostState
from userstream_server.databases.mysql.cluster_session import ClusterSession
from userstream_server.databases.mysql.driver import driver_of
from userstream_server.databases.mysql.hosts import Hosts
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.pools import Pools
from userstream_server.databases.time_limits import CallLimits, SnapshotViews
from userstream_server.errors import PreconditionError
from userstream_server.rows.freshness import Freshness

__all__ = ["MySQLCluster"]

_TABLE_REASONS = frozenset({"TABLE_MISSING", "TABLE_SHAPE"})


class MySQLCluster:
    """Several hosts of the same data. Each has its own connection pool, and a watch that checks it.

    Args:
        options: How to connect, and how much of each host to use.

    Attributes:
        pool: The pools of all hosts together.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        """Prepare the pools; nothing connects yet."""
        self.options = options
        self._hosts = Hosts(options)
        self._views = SnapshotViews(options.snapshot_views)
        self.pool = Pools([host.database.pool for host in self._hosts])

    @property
    def driver(self) -> Driver:
        """The driver that reads the rows, and what encodes them."""
        return driver_of(self.options)

    @property
    def queries_killed(self) -> int:
        """How many queries were killed because their call had ended."""
        return sum(host.database.queries_killed for host in self._hosts)

    @contextmanager
    def session(
        self,
        *,
        deadline_seconds: float | None = None,
        snapshot: bool = False,
        caller: str = "",
        after: Freshness | None = None,
    ) -> Iterator[ClusterSession]:
        """Open a session for one call; arguments as in `database.Database`."""
        limits = CallLimits(deadline_seconds, self.options.query_timeout_seconds)
        wait_seconds = self.options.replica_lag_seconds_max
        opened = ClusterSession(self._hosts, limits, caller, after=after, wait_seconds=wait_seconds)
        with (
            closing(opened) as session,
            self._views.opened(session, snapshot=snapshot),
        ):
            try:
                yield session
            except PreconditionError:
                # Perhaps the table is another one than it was: the next call looks.
                for host in self._hosts:
                    host.database.known_table = None
                raise

    def hosts(self) -> Sequence[HostState]:
        """Return what is known of each host, in the URL's order."""
        return self._hosts.states()

    def check(self) -> DatabaseFound:
        """Return what was found at the first host that may be read; raises as `database.Database` says."""
        return self._hosts.check()

    def ping(self) -> None:
        """Raise UserStreamError if no host may be read."""
        try:
            self._hosts.check()
        except PreconditionError as error:
            # A table that fits no more is told to those who ask for users.
            if error.reason not in _TABLE_REASONS:
                raise

    def close(self) -> None:
        """Stop the watches, and close all connections."""
        self._hosts.close()
