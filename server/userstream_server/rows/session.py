"""What reading rows needs of a database: a session, which serves one call.

A session takes a connection from the pool for each query and returns it as soon as the rows are
read, or, for a snapshot, keeps one connection and its read view. Another thread may interrupt it at
any time.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

from userstream_server.errors import ConflictError, UnavailableError
from userstream_server.rows.dialects import Dialect
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.scan import Scan
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers

__all__ = [
    "BLOCK_ROWS",
    "Session",
    "read_with_failover",
    "refuse_change",
    "refuse_changed_table",
]

T = TypeVar("T")
BLOCK_ROWS = 1000
"""Rows taken from the driver at once: enough to spread the cost of a step, few enough to stay in the CPU's cache."""


class Session(Protocol):
    """The database as one call sees it. One thread at a time, but for `interrupt`."""

    @property
    def table(self) -> Table:
        """The table as this session takes it, from its first query to its last."""

    @property
    def dialect(self) -> Dialect:
        """How to word queries for that table."""

    def look_at_table(self) -> Table:
        """Ask the database for the table as it is now.

        Raises:
            UserStreamError: It does not fit any more, or the database does not answer.
        """

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """Run a query and yield its rows in blocks, as tuples of raw bytes.

        Args:
            query: What to run.
            rows: Asked before each block how many rows it shall have; only the last one has fewer.

        The connection is free again when the iterator ends or is closed, in whatever way.

        Raises:
            UserStreamError: See `userstream_server.errors`; no driver error gets out.
        """

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        """Run a query for users and yield them encoded for the wire; otherwise as `blocks`."""

    def counted(self, query: Query) -> Generator[Counter[int]]:
        """Run a query for ages and yield how many rows there are of each, step by step; otherwise as `blocks`."""

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        """Estimate how many rows each of some queries has without reading them (SQLite: counts them), at once."""

    def move_on(self, error: UnavailableError) -> None:
        """Let another database host answer from now on, after a query has failed.

        Args:
            error: What ended the query.

        Raises:
            UserStreamError: No other host can; the same error where there is only one, or a read view was lost.
        """

    @property
    def freshness(self) -> Freshness | None:
        """How new the data is that was read so far; None where only one database host is read."""

    def interrupt(self) -> None:
        """End the running query and every later one with CallCancelledError. Any thread; may block."""


def read_with_failover(session: Session, read: Callable[[], T]) -> T:
    """Run a read; if its database host fails, run it again from its beginning on another one.

    Args:
        session: Where it reads.
        read: Reads to its end, and changes nothing that a second run would not undo.

    Raises:
        UserStreamError: From the session.
    """
    while True:
        try:
            return read()
        except UnavailableError as error:
            session.move_on(error)


def refuse_changed_table(session: Session, scan: Scan) -> None:
    """Refuse to end a scan whose bounds may mean other rows than when it began.

    A key's collation decides which rows lie behind another key, and its type how its text is made. Queries that go by
    either find nothing once it has changed, which must not be taken for the end of the scan.

    Args:
        session: Where the scan was read.
        scan: With the bounds of its last query.

    Raises:
        ConflictError: The table has changed.
        UserStreamError: From the session.
    """
    is_bounded = scan.after is not None or scan.up_to is not None
    if is_bounded or session.table.converts_key:
        read_with_failover(session, lambda: refuse_change(session))


def refuse_change(session: Session) -> None:
    """Raise an error if the table is not the one that the session took it for.

    Raises:
        ConflictError: The table has changed.
        UserStreamError: From the session.
    """
    if session.look_at_table() != session.table:
        raise ConflictError(
            "TABLE_CHANGED",
            "The key of user_data was changed while it was read. Retry; a stream resumes from its last"
            " resume_token, unless the order has changed.",
        )
