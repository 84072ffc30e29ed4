"""The embedded database: one SQLite file, read through the same queries and generators as MySQL."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

from userstream_server.databases.call_connections import CallConnections
from userstream_server.databases.database import DatabaseFound, Driver
from userstream_server.databases.host_state import HostState
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.pool import Pool
from userstream_server.databases.table_check import SQLITE_TABLE, check_shape, columns_of
from userstream_server.databases.time_limits import CallLimits, SnapshotViews
from userstream_server.errors import (
    DeadlineError,
    InternalError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)
from userstream_server.rows.ages import count_ages
from userstream_server.rows.dialects import SQLITE, Dialect
from userstream_server.rows.encoding import encode_blocks
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.row_check import checked_id
from userstream_server.rows.session import BLOCK_ROWS
from userstream_server.rows.sql import Query, Reach
from userstream_server.rows.table import Table
from userstream_server.rows.table_queries import SQLITE_COLUMNS
from userstream_server.rows.types import EncodedUsers

__all__ = ["SQLiteDatabase", "translated"]

_STEPS_BETWEEN_LOOKS = 10_000
"""How many of SQLite's steps (some tens of microseconds) pass between two looks at the clock."""
_NULL_KEY = Query("SELECT 1 FROM user_data WHERE user_id IS NULL LIMIT 1")
"""Finds a NULL key, which SQLite allows and no key range holds, by one look at the index."""


class _Connection:
    """One connection as the pool keeps it."""

    def __init__(self, path: Path) -> None:
        self.used_at = monotonic()
        self.reusable = True
        try:
            # Read-only by the URI; autocommit by isolation_level; used by one thread at a time.
            self.raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise translated(error) from error
        self.raw.text_factory = bytes

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """Run a query and yield its rows in blocks of tuples of bytes."""
        cursor = self.raw.execute(query.text, query.parameters)
        try:
            while block := cursor.fetchmany(rows()):
                yield block
        finally:
            cursor.close()

    def is_alive(self) -> bool:
        """Say yes: a file does not hang up."""
        return True

    def close(self) -> None:
        """Close it."""
        self.raw.close()


class _Session:
    """The database as one call sees it."""

    def __init__(self, pool: Pool[_Connection], limits: CallLimits, caller: str) -> None:
        self._connections = CallConnections(pool, caller, limits)
        self._limits = limits
        self._held: _Connection | None = None

    @cached_property
    def table(self) -> Table:
        """The table as it is now, which no longer holds a NULL key."""
        table = self.look_at_table()
        for _ in self.blocks(_NULL_KEY):
            checked_id(None)
        return table

    @cached_property
    def dialect(self) -> Dialect:
        """How to word queries for that table."""
        return SQLITE.of(self.table)

    def look_at_table(self) -> Table:
        """Ask the database for the table as it is now."""
        return _described(self.blocks(SQLITE_COLUMNS))

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        return self._blocks(query, rows, self._held)

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        return encode_blocks(self.blocks(query, rows), query.fields)

    def counted(self, query: Query) -> Generator[Counter[int]]:
        return count_ages(self.blocks(query))

    def _blocks(
        self, query: Query, rows: Callable[[], int], held: _Connection | None
    ) -> Generator[list[Any]]:
        with nullcontext(held) if held else self._connections.for_query(query) as connection:
            self._limits.check_cancelled()
            ends_at = monotonic() + self._limits.query_seconds()
            connection.raw.set_progress_handler(
                lambda: int(self._limits.is_cancelled or monotonic() > ends_at),
                _STEPS_BETWEEN_LOOKS,
            )
            try:
                yield from connection.blocks(query, rows)
            except sqlite3.Error as error:
                self._limits.check_cancelled()
                raise translated(error) from error
            finally:
                connection.raw.set_progress_handler(None, 0)

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        texts = [f"SELECT CAST(COUNT(*) AS TEXT) FROM ({query.text})" for query in queries]  # noqa: S608
        parameters = tuple(value for query in queries for value in query.parameters)
        counts = self.blocks(Query(" UNION ALL ".join(texts), parameters, reach=Reach.RANGE))
        return [float(row[0]) for block in counts for row in block]

    @property
    def freshness(self) -> None:
        """None: only one host is read."""

    def move_on(self, error: UnavailableError) -> None:
        """Raise the error: there is no other host."""
        raise error

    def interrupt(self) -> None:
        self._limits.cancel()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep one connection and one read view for the block."""
        with self._connections.for_snapshot() as connection:
            connection.raw.execute("BEGIN")
            # SQLite takes the view at the first read, not at BEGIN.
            connection.raw.execute("SELECT 1 FROM user_data LIMIT 1").fetchall()
            self._held = connection
            try:
                yield
            finally:
                self._held = None
                connection.raw.execute("ROLLBACK")


class SQLiteDatabase:
    """One SQLite file.

    Args:
        options: Its path, which must exist, and how much of it to use.
    """

    driver = Driver("sqlite", "sqlite3", sqlite3.sqlite_version, "c")
    queries_killed = 0  # a progress handler ends them instead

    def __init__(self, options: DatabaseOptions) -> None:
        """Prepare the pool; nothing is opened yet."""
        assert options.url.path is not None, "a SQLite URL has a path"  # noqa: S101
        self._path = path = options.url.path
        self._query_timeout_seconds = options.query_timeout_seconds
        self.pool = Pool(
            lambda: _Connection(path),
            size=options.pool_size,
            wait_seconds=options.pool_wait_seconds,
            caller_share=options.pool_caller_share,
            scans_share=options.pool_scans_share,
        )
        self._views = SnapshotViews(options.snapshot_views)

    def session(
        self,
        *,
        deadline_seconds: float | None = None,
        snapshot: bool = False,
        caller: str = "",
        after: Freshness | None = None,  # noqa: ARG002 - there is no other host to compare with
    ) -> AbstractContextManager[_Session]:
        """Open a session for one call; arguments as in `database.Database`."""
        limits = CallLimits(deadline_seconds, self._query_timeout_seconds)
        return self._views.opened(_Session(self.pool, limits, caller), snapshot=snapshot)

    def hosts(self) -> tuple[HostState, ...]:
        """Return nothing: a file has no hosts."""
        return ()

    def check(self) -> DatabaseFound:
        """Check connection and table and return what was found; raises as `database.Database` says."""
        table = _described(self._apart(SQLITE_COLUMNS))
        return DatabaseFound(f"SQLite {sqlite3.sqlite_version}", "a file", "Python's own", table)

    def ping(self) -> None:
        """Make one round trip apart from the pool; raises UserStreamError without an answer."""
        for _ in self._apart(Query("SELECT 1")):
            pass

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()

    def _apart(self, query: Query) -> Iterator[list[Any]]:
        """Run a query outside the pool, so that a busy pool says nothing about the file."""
        connection = _Connection(self._path)
        try:
            yield from connection.blocks(query)
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            connection.close()


def _described(blocks: Iterable[list[Any]]) -> Table:
    return check_shape(columns_of(row for block in blocks for row in block), SQLITE_TABLE)


def translated(error: sqlite3.Error) -> UserStreamError:
    """Return the domain error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return DeadlineError(
            "QUERY_TIME_LIMIT",
            "A query took longer than the call's deadline or the server's limit.",
        )
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY}:
        return UnavailableError(
            "DATABASE_UNAVAILABLE", "The SQLite file cannot be read just now. Try again."
        )
    if code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB}:
        return PreconditionError(
            "TABLE_SHAPE",
            "The SQLite file holds no fitting table user_data. `userstream-server --check` says more.",
        )
    return InternalError("DATABASE_ERROR")
