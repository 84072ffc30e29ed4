"""A call's reads where there are several hosts: from one of them for as long as that may be read."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.databases.mysql.database import MySQLSession
from userstream_server.databases.mysql.host import Host
from userstream_server.databases.mysql.hosts import Hosts
from userstream_server.databases.time_limits import CallLimits
from userstream_server.errors import UnavailableError
from userstream_server.rows.dialects import MYSQL, Dialect
from userstream_server.rows.session import BLOCK_ROWS, read_with_failover
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers

__all__ = ["ClusterSession"]


class ClusterSession:
    """The database as one call sees it; a `rows.session.Session`.

    Args:
        hosts: Where to read.
        limits: The call's.
        caller: Whose call it is; compared and never shown.
    """

    def __init__(self, hosts: Hosts, limits: CallLimits, caller: str) -> None:
        self._hosts = hosts
        self._limits = limits
        self._caller = caller
        self._host: Host | None = None
        self._session: MySQLSession | None = None
        self._holds_view = False
        # Since a query was last read to its end: hosts that pass their checks and fail each query must not go round.
        self._moves = 0
        self._moves_max = 2 * len(hosts)
        # `interrupt` must reach the host that is read now, also while the call moves to another one.
        self._lock = threading.Lock()

    @cached_property
    def table(self) -> Table:
        """The table, as the first host had it."""
        return read_with_failover(self, lambda: self._here().table)

    @cached_property
    def dialect(self) -> Dialect:
        """How to word queries for that table."""
        return MYSQL.of(self.table)

    def look_at_table(self) -> Table:
        """Ask the host for the table as it is now."""
        return self._here().look_at_table()

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """Yield the query's rows in blocks."""
        return self._here().blocks(query, rows)

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        """Yield the query's users encoded."""
        return self._here().encoded(query, rows)

    def counted(self, query: Query) -> Generator[Counter[int]]:
        """Yield the query's users counted by age."""
        return self._here().counted(query)

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        """Return the host's estimates of the queries' rows."""
        return self._here().estimates(queries)

    def move_on(self, error: UnavailableError) -> None:
        """Read at another host from now on; raise what keeps this call from it."""
        is_lost = error.reason == "DATABASE_UNAVAILABLE"
        if self._host is None or self._holds_view or not is_lost or self._moves >= self._moves_max:
            raise error
        self._moves += 1
        self._host.suspect()
        self._go_to(self._hosts.choose())

    def interrupt(self) -> None:
        """End the running query and every later one. Any thread; may block."""
        with self._lock:
            self._limits.cancel()
            session = self._session
        if session:
            session.interrupt()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep one connection and one read view for the block."""
        with ExitStack() as stack:
            read_with_failover(self, lambda: stack.enter_context(self._here().snapshot()))
            self._holds_view = True
            try:
                yield
            finally:
                self._holds_view = False

    def close(self) -> None:
        """Count the call as over."""
        if self._host:
            self._host.count_calls(-1)
            self._host = None

    def _here(self) -> MySQLSession:
        """Return the session at the host that is read: the same one for as long as that may be read."""
        host, session = self._host, self._session
        if host is None or session is None or not (host.state.readable or self._holds_view):
            return self._go_to(self._hosts.choose())
        return session

    def _go_to(self, host: Host) -> MySQLSession:
        self.close()
        host.count_calls(1)
        self._host = host
        session = MySQLSession(host.database, self._limits, self._caller, self._was_read)
        with self._lock:
            self._session = session
        return session

    def _was_read(self, connection: MySQLConnection) -> None:  # noqa: ARG002
        """Note that a query was read to its end."""
        self._moves = 0
