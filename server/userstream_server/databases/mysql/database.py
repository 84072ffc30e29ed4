"""MySQL 8+ and MariaDB: sessions with time limits, and queries that can be killed."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from userstream_server.databases.call_connections import CallConnections
from userstream_server.databases.database import DatabaseFound, Driver
from userstream_server.databases.host_state import HostState
from userstream_server.databases.kept_connection import KeptConnection
from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.databases.mysql.driver import driver_of
from userstream_server.databases.mysql.table import Read, described_table
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.pool import Pool
from userstream_server.databases.time_limits import CallLimits, SnapshotViews, Tally
from userstream_server.errors import (
    ConflictError,
    InternalError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)
from userstream_server.rows.dialects import MYSQL, Dialect
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import BLOCK_ROWS
from userstream_server.rows.sql import Query, users_query
from userstream_server.rows.table import Table
from userstream_server.rows.table_queries import MYSQL_EXPLAIN
from userstream_server.rows.types import EncodedUsers

__all__ = ["MySQLDatabase", "MySQLSession"]

T = TypeVar("T")


class MySQLSession:
    """The database as one call sees it.

    Args:
        database: Where to read.
        limits: The call's.
        caller: Whose call it is; compared and never shown.
        after_read: Called with the connection when a query outside of a snapshot was read to its end.
    """

    def __init__(
        self,
        database: "MySQLDatabase",
        limits: CallLimits,
        caller: str,
        after_read: Callable[[MySQLConnection], None] | None = None,
    ) -> None:
        self._database = database
        self._after_read = after_read
        self._limits = limits
        self._connections = CallConnections(database.pool, caller, limits)
        self._held: MySQLConnection | None = None
        # A connection may be killed only while this session uses it; the lock ensures that.
        self._lock = threading.Lock()
        self._current: set[MySQLConnection] = set()

    @cached_property
    def table(self) -> Table:
        """The table as the last look at it found it."""
        return self._database.known_table or self.look_at_table()

    @cached_property
    def dialect(self) -> Dialect:
        """How to word queries for that table."""
        return MYSQL.of(self.table)

    def look_at_table(self) -> Table:
        """Ask the database for the table as it is now, for the calls that follow too."""
        return self._database.learn_table(self.blocks)

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """Yield the query's rows in blocks."""
        return self._read(MySQLConnection.blocks, query, rows)

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        """Yield the query's users encoded."""
        return self._read(MySQLConnection.encoded, query, rows, query.fields)

    def counted(self, query: Query) -> Generator[Counter[int]]:
        """Yield the query's users counted by age."""
        return self._read(MySQLConnection.counted, query)

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        """Return the database's estimates of the queries' rows."""
        text = " UNION ALL ".join(query.text for query in queries)
        parameters = tuple(value for query in queries for value in query.parameters)
        held = self._held
        with self._running(
            nullcontext(held) if held else self._connections.for_lookup()
        ) as connection:
            blocks = list(connection.blocks(MYSQL_EXPLAIN + text, parameters))
        # A line for each query; the columns rows, filtered (in per cent) and Extra end it.
        lines = [line for block in blocks for line in block if line[1] != b"UNION RESULT"]
        if len(lines) != len(queries):
            raise InternalError("DATABASE_ERROR")
        return [int(line[-3] or 0) * float(line[-2] or 0) / 100 for line in lines]

    @property
    def freshness(self) -> None:
        """None: only one host is read."""

    def move_on(self, error: UnavailableError) -> None:
        """Raise the error: there is no other host."""
        raise error

    def interrupt(self) -> None:
        """End the running query and every later one. Any thread; may block."""
        with self._lock:
            self._limits.cancel()
            for connection in self._current:
                self._database.kill(connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep one connection and one read view for the block."""
        with self._connections.for_snapshot() as connection:
            connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            self._held = connection
            try:
                yield
            finally:
                self._held = None
                # After an error or a kill the connection is discarded, and its transaction with it.
                if connection.reusable:
                    connection.execute("ROLLBACK")

    def _read(self, read: Callable[..., Generator[T]], query: Query, *more: Any) -> Generator[T]:
        held = self._held
        with self._running(
            nullcontext(held) if held else self._connections.for_query(query)
        ) as connection:
            text = _limited(query.text, self._limits.query_seconds(), mariadb=connection.is_mariadb)
            yield from read(connection, text, query.parameters, *more)
            if self._after_read and not held:
                self._after_read(connection)

    @contextmanager
    def _running(
        self, taking: AbstractContextManager[MySQLConnection]
    ) -> Iterator[MySQLConnection]:
        """Take a connection for one query; `interrupt` may kill it meanwhile."""
        with taking as connection:
            with self._lock:
                self._limits.check_cancelled()
                self._current.add(connection)
            try:
                yield connection
            except UserStreamError:
                connection.reusable = False
                self._limits.check_cancelled()
                raise
            finally:
                with self._lock:
                    self._current.discard(connection)
                if connection.unread:
                    # The reader stopped early. Closing would read the rest; killing ends it at once.
                    connection.reusable = False
                    self._database.kill(connection)


class MySQLDatabase:
    """One MySQL or MariaDB.

    Args:
        options: How to connect, and how much of it to use.

    Attributes:
        known_table: The table as it was when somebody last looked; None when it did not fit.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        """Prepare the pool; nothing connects yet."""
        self.options = options
        self.pool = Pool(
            lambda: self._connect(self.options),
            size=options.pool_size,
            wait_seconds=options.pool_wait_seconds,
            caller_share=options.pool_caller_share,
            scans_share=options.pool_scans_share,
        )
        # A database that does not answer must show soon, whatever a query may take.
        watching = replace(options, socket_timeout_seconds=options.connect_timeout_seconds)
        self._apart = KeptConnection(lambda: self._connect(watching))
        self._views = SnapshotViews(options.snapshot_views)
        self._kills = Tally()
        self.known_table: Table | None = None

    @property
    def driver(self) -> Driver:
        """The driver that reads the rows, and what encodes them."""
        return driver_of(self.options)

    @property
    def queries_killed(self) -> int:
        """How many queries were killed because their call had ended."""
        return self._kills.count

    @contextmanager
    def session(
        self,
        *,
        deadline_seconds: float | None = None,
        snapshot: bool = False,
        caller: str = "",
        after: Freshness | None = None,  # noqa: ARG002 - there is no other host to compare with
    ) -> Iterator[MySQLSession]:
        """Open a session for one call; arguments as in `database.Database`."""
        limits = CallLimits(deadline_seconds, self.options.query_timeout_seconds)
        opened = MySQLSession(self, limits, caller)
        try:
            with self._views.opened(opened, snapshot=snapshot) as session:
                yield session
        except (ConflictError, PreconditionError):
            # Perhaps the table is another one than it was: the next call looks.
            self.known_table = None
            raise

    def check(self) -> DatabaseFound:
        """Check connection and table and return what was found; raises as `database.Database` says."""
        with self._apart.living() as connection:
            return self.found_on(connection)

    def found_on(self, connection: MySQLConnection) -> DatabaseFound:
        """Check the table on a connection, and return what was found; raises as `check` does."""
        table = self.learn_table(connection.read)
        # Refused unless the account may SELECT: what describes a table is told for any right.
        for _ in connection.read(users_query(MYSQL.of(table), Scan(), limit=0)):
            pass
        return connection.describe(table)

    def ping(self) -> None:
        """Make one round trip apart from the pool; raises UserStreamError without an answer."""
        # The table may be altered at any time. One that fits no more is told to those who ask for users.
        with self._apart.living() as connection, suppress(PreconditionError):
            self.learn_table(connection.read)

    def learn_table(self, read: Read) -> Table:
        """Check and keep what the database says of the table.

        Args:
            read: How to ask the database.

        Raises:
            PreconditionError: The table is missing or does not fit.
        """
        self.known_table = None
        self.known_table = table = described_table(read)
        return table

    def kill(self, connection: MySQLConnection) -> None:
        """End a connection and its query from a side connection; never raises."""
        connection.reusable = False
        # KILL QUERY would miss a query that is just about to be sent; the connection is lost anyway.
        with suppress(UserStreamError):
            side = MySQLConnection(self.options, (connection.address,))
            with closing(side):
                side.execute(f"KILL {connection.thread_id}")
                self._kills.add()

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()
        self._apart.close()

    def hosts(self) -> tuple[HostState, ...]:
        """Return nothing: there is only one."""
        return ()

    def _connect(self, options: DatabaseOptions) -> MySQLConnection:
        return MySQLConnection(options, tuple(options.url.hosts))


def _limited(select: str, seconds: float, *, mariadb: bool) -> str:
    """Give a SELECT a time limit at the database, in its own words; nothing else needs one."""
    if not select.startswith("SELECT"):
        return select
    if mariadb:
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR {select}"
    hint = f"SELECT /*+ MAX_EXECUTION_TIME({max(1, round(seconds * 1000))}) */"
    return hint + select.removeprefix("SELECT")
