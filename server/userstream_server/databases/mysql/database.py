"""MySQL 8+ and MariaDB: sessions with time limits, and queries that can be killed."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any, TypeVar

from userstream_server.databases.database import DatabaseFound, Driver
from userstream_server.databases.mysql.connecting import DRIVER_VERSION, Address, MySQLOptions
from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.databases.mysql.native_rows import can_read_natively
from userstream_server.databases.pool import Pool
from userstream_server.databases.table_check import check_shape, columns_of
from userstream_server.databases.time_limits import CallLimits, SnapshotViews, Tally
from userstream_server.errors import InternalError, PreconditionError, UserStreamError
from userstream_server.rows.session import BLOCK_ROWS
from userstream_server.rows.sql import MYSQL, MYSQL_COLUMNS, Dialect, Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers

__all__ = ["MySQLDatabase"]

T = TypeVar("T")


class _Session:
    """One call's view of the database; see `database.Session`."""

    def __init__(self, database: "MySQLDatabase", limits: CallLimits) -> None:
        self._database = database
        self._limits = limits
        self._held: MySQLConnection | None = None
        # A connection may be killed only while this session still uses it; the lock sees to that.
        self._lock = threading.Lock()
        self._current: set[MySQLConnection] = set()

    @cached_property
    def table(self) -> Table:
        """See `rows.session.Session.table`."""
        return self._database.known_table or self.look_at_table()

    @cached_property
    def dialect(self) -> Dialect:
        """See `rows.session.Session.dialect`."""
        return MYSQL.of(self.table)

    def look_at_table(self) -> Table:
        """See `rows.session.Session.look_at_table`."""
        return self._database.learn_table(self.blocks(MYSQL_COLUMNS))

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """See `database.Session.blocks`."""
        return self._read(MySQLConnection.blocks, query, rows)

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        """See `database.Session.encoded`."""
        return self._read(MySQLConnection.encoded, query, rows)

    def counted(self, query: Query) -> Generator[Counter[int]]:
        """See `database.Session.counted`."""
        return self._read(MySQLConnection.counted, query)

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        """See `rows.session.Session.estimates`."""
        text = " UNION ALL ".join(query.text for query in queries)
        parameters = tuple(value for query in queries for value in query.parameters)
        with self._running(self._held) as connection:
            explain = (
                "EXPLAIN EXTENDED " if connection.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL "
            )
            blocks = list(connection.blocks(explain + text, parameters))
        # Both databases have a line for each query, and end it with the columns rows, filtered (in per cent) and Extra.
        lines = [line for block in blocks for line in block if line[1] != b"UNION RESULT"]
        if len(lines) != len(queries):
            raise InternalError("DATABASE_ERROR")
        return [int(line[-3] or 0) * float(line[-2] or 0) / 100 for line in lines]

    def interrupt(self) -> None:
        """See `database.Session.interrupt`."""
        with self._lock:
            self._limits.cancel()
            for connection in self._current:
                self._database.kill(connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep one connection and one read view for the block."""
        with self._database.pool.connection() as connection:
            connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            self._held = connection
            try:
                yield
            finally:
                self._held = None
                # After an error or a kill the connection is discarded, and its transaction with it.
                if connection.reusable:
                    connection.execute("ROLLBACK")

    def _read(
        self, read: Callable[..., Generator[T]], query: Query, *more: Callable[[], int]
    ) -> Generator[T]:
        with self._running(self._held) as connection:
            text = _limited(query.text, self._limits.query_seconds(), mariadb=connection.is_mariadb)
            yield from read(connection, text, query.parameters, *more)

    @contextmanager
    def _running(self, held: MySQLConnection | None = None) -> Iterator[MySQLConnection]:
        """Take a connection for one query (the one held, if any), open to `interrupt` meanwhile."""
        with ExitStack() as stack:
            connection = held or stack.enter_context(self._database.pool.connection())
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
                    # Somebody stopped reading. Closing would read the rest; killing ends it at once.
                    connection.reusable = False
                    self._database.kill(connection)


class MySQLDatabase:
    """One MySQL or MariaDB, or several hosts of the same data.

    Args:
        options: How to connect.
        pool_size: The most connections for queries.
        pool_wait_seconds: How long a query waits for a free one.
        snapshot_views: The most snapshots at once; each holds a connection.

    Attributes:
        known_table: The table as it was when somebody last looked; None when it did not fit.
    """

    def __init__(
        self,
        options: MySQLOptions,
        *,
        pool_size: int = 8,
        pool_wait_seconds: float = 5.0,
        snapshot_views: int = 4,
    ) -> None:
        """Prepare the pool; nothing connects yet."""
        self.options = options
        self._addresses: tuple[Address, ...] = tuple(options.url.hosts)
        self.pool = Pool(self._connect, size=pool_size, wait_seconds=pool_wait_seconds)
        self._views = SnapshotViews(snapshot_views)
        self._kills = Tally()
        self.known_table: Table | None = None

    @property
    def driver(self) -> Driver:
        """See `database.Database.driver`."""
        kind = "python" if self.options.use_pure else "c"
        encoder = "c" if can_read_natively(self.options) else "python"
        return Driver("mysql", "mysql-connector-python", DRIVER_VERSION, kind, encoder)

    @property
    def queries_killed(self) -> int:
        """See `database.Database.queries_killed`."""
        return self._kills.count

    def session(
        self, *, deadline_seconds: float | None = None, snapshot: bool = False
    ) -> AbstractContextManager[_Session]:
        """Open a session; see `database.Database.session`."""
        limits = CallLimits(deadline_seconds, self.options.query_timeout_seconds)
        return self._views.opened(_Session(self, limits), snapshot=snapshot)

    def check(self) -> DatabaseFound:
        """See `database.Database.check`."""
        with self._apart() as connection:
            table = self.learn_table(connection.blocks(MYSQL_COLUMNS.text))
            return connection.describe(table)

    def ping(self) -> None:
        """See `database.Database.ping`."""
        with self._apart() as connection:
            for _ in connection.blocks("SELECT 1"):
                pass
            # The table may be altered at any time. One that fits no more is told to those who ask for users.
            with suppress(PreconditionError):
                self.learn_table(connection.blocks(MYSQL_COLUMNS.text))

    def learn_table(self, described: Iterable[list[Any]]) -> Table:
        """Check and keep what the database says of the table.

        Args:
            described: The rows of `MYSQL_COLUMNS`, in blocks.

        Raises:
            PreconditionError: The table is missing or does not fit.
        """
        self.known_table = None
        self.known_table = table = check_shape(columns_of(row for b in described for row in b))
        return table

    def kill(self, connection: MySQLConnection) -> None:
        """End a connection and its query from a side connection; never raises."""
        connection.reusable = False
        # KILL QUERY would miss a query that is just about to be sent; the connection is lost anyway.
        with suppress(UserStreamError):
            side = MySQLConnection(self.options, (connection.address,))
            with _closing(side):
                side.execute(f"KILL {connection.thread_id}")
                self._kills.add()

    def close(self) -> None:
        """See `database.Database.close`."""
        self.pool.close()

    @contextmanager
    def _apart(self) -> Iterator[MySQLConnection]:
        """Open a connection outside the pool, so that a busy pool says nothing about the database."""
        connection = self._connect()
        with _closing(connection):
            yield connection

    def _connect(self) -> MySQLConnection:
        connection = MySQLConnection(self.options, self._addresses)
        # The host that answered goes first, so that a dead one costs its time-out only once.
        first = connection.address
        self._addresses = (first, *(a for a in self._addresses if a != first))
        return connection


@contextmanager
def _closing(connection: MySQLConnection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def _limited(select: str, seconds: float, *, mariadb: bool) -> str:
    """Give a SELECT a time limit at the database, in its own words."""
    if mariadb:
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR {select}"
    hint = f"SELECT /*+ MAX_EXECUTION_TIME({max(1, round(seconds * 1000))}) */"
    return hint + select.removeprefix("SELECT")
