"""MySQL 8+ and MariaDB: raw rows, time limits, and queries that can be killed.

Rows are read with the C extension's own `fetch_row`, as tuples of bytes; the driver's cursors cost
several times more. Where the extension does not load, the driver's Python side does the same job
ten times slower.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from time import monotonic
from typing import Any

from userstream_server.db.database import BLOCK_ROWS, DatabaseFound, Driver
from userstream_server.db.limits import CallLimits, SnapshotViews, Tally
from userstream_server.db.mysql_connect import (
    DRIVER_ERRORS,
    DRIVER_VERSION,
    Address,
    MySQLOptions,
    connect_any,
)
from userstream_server.db.mysql_errors import translate
from userstream_server.db.pool import Pool
from userstream_server.db.shape import check_shape, columns_of
from userstream_server.db.sql import MYSQL, MYSQL_COLUMNS, Dialect, Query
from userstream_server.errors import UserStreamError

__all__ = ["MySQLDatabase"]


class _Connection:
    """One connection as the pool keeps it."""

    def __init__(self, options: MySQLOptions, addresses: tuple[Address, ...]) -> None:
        self._raw, self.address = connect_any(options, addresses)
        self._pure = options.use_pure
        self.thread_id = int(self._raw.connection_id)
        self._version = str(self._raw.server_info)
        self.is_mariadb = "mariadb" in self._version.lower()
        self.used_at = monotonic()
        self.reusable = True
        self.unread = False

    def blocks(
        self,
        text: str,
        parameters: tuple[object, ...] = (),
        rows: Callable[[], int] = lambda: BLOCK_ROWS,
    ) -> Generator[list[Any]]:
        """Run a statement and yield its rows in blocks of tuples of bytes."""
        with _translated():
            take = self._run_pure(text, parameters) if self._pure else self._run(text, parameters)
            self.unread = True
            while block := list(islice(take, rows())):
                yield block
            if not self._pure:
                self._raw.free_result()
            self.unread = False

    def execute(self, text: str) -> None:
        """Run a statement that has no rows."""
        with _translated():
            self._raw.cmd_query(text)

    def describe(self) -> DatabaseFound:
        """Say what this connection leads to, and how."""
        ((_, cipher),) = next(self.blocks("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))
        return DatabaseFound(
            f"{'MariaDB' if self.is_mariadb else 'MySQL'} {self._version}",
            f"encrypted ({cipher.decode()})" if cipher else "not encrypted",
            "pure Python, ten times slower" if self._pure else "C extension",
            fast_driver=not self._pure,
        )

    def is_alive(self) -> bool:
        """Ask the database with one round trip."""
        try:
            self._raw.ping(reconnect=False)
        except DRIVER_ERRORS:
            return False
        return True

    def close(self) -> None:
        """Close the connection. An unread result should be killed first, or its rest is read here."""
        with suppress(*DRIVER_ERRORS):
            self._raw.close()

    def _run(self, text: str, parameters: tuple[object, ...]) -> Iterator[Any]:
        """Run a statement; return its rows without a single Python frame in between."""
        # Not through a cursor: making one asks the server first whether it still lives.
        quoted = tuple(self._raw.prepare_for_mysql(parameters)) if parameters else ()
        self._raw.cmd_query(text.encode() % quoted if quoted else text.encode(), raw=True)
        return iter(self._raw._cmysql.fetch_row, None)

    def _run_pure(self, text: str, parameters: tuple[object, ...]) -> Iterator[Any]:
        """Do the same without the C extension."""
        cursor = self._raw.cursor(raw=True)
        cursor.execute(text, parameters)
        # This side hands out bytearrays, and None for NULL, which only EXPLAIN has here.
        return (tuple(v if v is None else bytes(v) for v in row) for row in cursor)


class _Session:
    """One call's view of the database; see `database.Session`."""

    dialect: Dialect = MYSQL

    def __init__(self, database: "MySQLDatabase", limits: CallLimits) -> None:
        self._database = database
        self._limits = limits
        self._held: _Connection | None = None
        # A connection may be killed only while this session still uses it; the lock sees to that.
        self._lock = threading.Lock()
        self._current: set[_Connection] = set()

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """See `database.Session.blocks`."""
        with self._running(self._held) as connection:
            text = _limited(query.text, self._limits.query_seconds(), mariadb=connection.is_mariadb)
            yield from connection.blocks(text, query.parameters, rows)

    def estimate(self, query: Query) -> int:
        """See `database.Session.estimate`."""
        with self._running() as connection:
            explain = (
                "EXPLAIN EXTENDED " if connection.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL "
            )
            blocks = list(connection.blocks(explain + query.text, query.parameters))
        # Both databases end each line with the columns rows, filtered (in per cent) and Extra.
        *_, rows, filtered, _ = blocks[0][0]
        return round(int(rows) * float(filtered) / 100) if rows else 0

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

    @contextmanager
    def _running(self, held: _Connection | None = None) -> Iterator[_Connection]:
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
    """

    def __init__(
        self,
        options: MySQLOptions,
        *,
        pool_size: int = 8,
        pool_wait_seconds: float = 5.0,
        snapshot_views: int = 4,
    ) -> None:
        """See the class; nothing connects yet."""
        self.options = options
        self._addresses: tuple[Address, ...] = tuple(options.url.hosts)
        self.pool = Pool(self._connect, size=pool_size, wait_seconds=pool_wait_seconds)
        self._views = SnapshotViews(snapshot_views)
        self._kills = Tally()

    @property
    def driver(self) -> Driver:
        """See `database.Database.driver`."""
        kind = "python" if self.options.use_pure else "c"
        return Driver("mysql", "mysql-connector-python", DRIVER_VERSION, kind)

    @property
    def queries_killed(self) -> int:
        """See `database.Database.queries_killed`."""
        return self._kills.count

    @contextmanager
    def session(
        self, *, deadline_seconds: float | None = None, snapshot: bool = False
    ) -> Iterator[_Session]:
        """See `database.Database.session`."""
        limits = CallLimits(deadline_seconds, self.options.query_timeout_seconds)
        session = _Session(self, limits)
        with ExitStack() as stack:
            if snapshot:
                stack.enter_context(self._views.one())
                stack.enter_context(session.snapshot())
            yield session

    def check(self) -> DatabaseFound:
        """See `database.Database.check`."""
        with self._apart() as connection:
            check_shape(columns_of(row for b in connection.blocks(MYSQL_COLUMNS.text) for row in b))
            return connection.describe()

    def ping(self) -> None:
        """See `database.Database.ping`."""
        with self._apart() as connection:
            for _ in connection.blocks("SELECT 1"):
                pass

    def kill(self, connection: _Connection) -> None:
        """End a connection and its query from a side connection; never raises."""
        connection.reusable = False
        # KILL QUERY would miss a query that is just about to be sent; the connection is lost anyway.
        with suppress(UserStreamError):
            side = _Connection(self.options, (connection.address,))
            with _closing(side):
                side.execute(f"KILL {connection.thread_id}")
                self._kills.add()

    def close(self) -> None:
        """See `database.Database.close`."""
        self.pool.close()

    @contextmanager
    def _apart(self) -> Iterator[_Connection]:
        """Open a connection outside the pool, so that a busy pool says nothing about the database."""
        connection = self._connect()
        with _closing(connection):
            yield connection

    def _connect(self) -> _Connection:
        connection = _Connection(self.options, self._addresses)
        # The host that answered goes first, so that a dead one costs its time-out only once.
        first = connection.address
        self._addresses = (first, *(a for a in self._addresses if a != first))
        return connection


@contextmanager
def _closing(connection: _Connection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Let no driver error out."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate(getattr(error, "errno", None)) from error


def _limited(select: str, seconds: float, *, mariadb: bool) -> str:
    """Give a SELECT a time limit at the database, in its own words."""
    if mariadb:
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR {select}"
    hint = f"SELECT /*+ MAX_EXECUTION_TIME({max(1, round(seconds * 1000))}) */"
    return hint + select.removeprefix("SELECT")
