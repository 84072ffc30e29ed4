"""A call's reads where there are several hosts: from one of them for as long as that may be read."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from typing import Any

from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.databases.mysql.database import MySQLSession
from userstream_server.databases.mysql.host import Host
from userstream_server.databases.mysql.hosts import Hosts
from userstream_server.databases.mysql.positions import holds_position, read_position
from userstream_server.databases.time_limits import CallLimits
from userstream_server.errors import UnavailableError
from userstream_server.rows.dialects import MYSQL, Dialect
from userstream_server.rows.freshness import Freshness
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
        after: What a resumed scan has read already; None for a new one.
        wait_seconds: How long to wait, in all, for a host that has what was read already.
    """

    def __init__(
        self,
        hosts: Hosts,
        limits: CallLimits,
        caller: str,
        *,
        after: Freshness | None = None,
        wait_seconds: float = 0.0,
    ) -> None:
        self._hosts = hosts
        self._limits = limits
        self._caller = caller
        self._wait_seconds = wait_seconds
        self._has_read = after is not None
        self._freshness = after or Freshness()
        self._host: Host | None = None
        self._session: _HostSession | None = None
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

    @property
    def freshness(self) -> Freshness:
        """How new the data is that was read so far."""
        return self._freshness

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
        self._go()

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
            read_with_failover(self, lambda: self._begin_view(stack))
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

    def _begin_view(self, stack: ExitStack) -> None:
        with ExitStack() as attempt:
            session = self._here()
            attempt.enter_context(session.snapshot())
            # Taken behind the view's begin, it covers all that the view shows.
            self._note(session.position())
            stack.push(attempt.pop_all())

    def _here(self) -> "_HostSession":
        """Return the session at the host that is read: the same one for as long as that may be read."""
        host, session = self._host, self._session
        if host is None or session is None or not (host.state.is_good or self._holds_view):
            return self._go()
        return session

    def _go(self) -> "_HostSession":
        """Move to a host that has all that was read so far; wait for one if need be."""
        self.close()
        hosts = self._hosts.ranked()
        if not self._has_read:
            return self._settle(hosts[0])
        # Half of the time is for reading what remains.
        wait_seconds = min(self._wait_seconds, self._limits.query_seconds() / 2) / len(hosts)
        for seconds in (0.0, wait_seconds):
            for host in hosts:
                is_fresh = self._is_fresh(host, seconds)
                if is_fresh is not False:
                    kept = self._freshness.is_kept and bool(is_fresh)
                    self._freshness = Freshness(self._freshness.position, kept)
                    return self._settle(host)
        self._hosts.ranked()  # says it where all have failed meanwhile
        raise UnavailableError(
            "HOSTS_BEHIND",
            "No database host has all that this scan has read already. Retry; a stream resumes from its last"
            " resume_token. If the newest data was lost with a host, begin again without it.",
        )

    def _is_fresh(self, host: Host, seconds: float) -> bool | None:
        """Say whether a host has all that was read so far, waiting so long; None if that cannot be known."""
        if not self._freshness.position:
            return None
        try:
            return self._session_at(host).holds(self._freshness.position, seconds)
        except UnavailableError:
            host.suspect()
            return False

    def _session_at(self, host: Host) -> "_HostSession":
        session = _HostSession(host.database, self._limits, self._caller, self._was_read)
        with self._lock:
            self._session = session
        return session

    def _settle(self, host: Host) -> "_HostSession":
        session = self._session_at(host)
        host.count_calls(1)
        self._host = host
        return session

    def _was_read(self, connection: MySQLConnection) -> None:
        """Note that a query was read to its end, and how new its data was."""
        self._moves = 0
        self._note(read_position(connection))

    def _note(self, position: bytes) -> None:
        self._has_read = True
        self._freshness = Freshness(position, self._freshness.is_kept)


class _HostSession(MySQLSession):
    """A session at one host, which also says how new its data is."""

    def position(self) -> bytes:
        """Return which transactions the host has executed; empty if it does not say."""
        held = self._held
        with self._running(
            nullcontext(held) if held else self._connections.for_lookup()
        ) as connection:
            return read_position(connection)

    def holds(self, position: bytes, seconds: float) -> bool | None:
        """Say whether the host has all that a position stands for, waiting so long; None if it cannot be compared."""
        taking = self._connections.for_wait() if seconds else self._connections.for_lookup()
        with self._running(taking) as connection:
            return holds_position(connection, position, seconds)
