"""What the generators need of a database; `mysql` and `sqlite` are the two that give it.

A `Session` serves one call. It takes a connection from the pool for each query and gives it back as
soon as the rows are read, or, for a snapshot, keeps one connection and its read view. Another
thread may interrupt it at any time.
"""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from userstream_server.db.pool import PoolState
from userstream_server.db.rows import EncodedUsers
from userstream_server.db.sql import Dialect, Query

__all__ = ["BLOCK_ROWS", "Database", "DatabaseFound", "Driver", "Session"]

BLOCK_ROWS = 1000
"""Rows taken from the driver at once: enough to spread the cost of a step, few enough to stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class Driver:
    """What reads the rows.

    Attributes:
        engine: `mysql` (MariaDB too) or `sqlite`.
        name: The package.
        version: Its version.
        kind: `c` for the C extension, `python` for the slow one without it.
        encoder: What encodes users: `c` for native_rows.c, `python` for wire.py.
    """

    engine: str
    name: str
    version: str
    kind: str
    encoder: str = "python"


@dataclass(frozen=True, slots=True)
class DatabaseFound:
    """What answers, in words for an operator.

    Attributes:
        server: Kind and version.
        transport: Whether the connection is encrypted.
        driver: Which part of the driver runs.
        fast_driver: False where that one is much slower than need be.
    """

    server: str
    transport: str
    driver: str
    fast_driver: bool = True


class Session(Protocol):
    """The database as one call sees it. One thread at a time, but for `interrupt` and `estimate`."""

    @property
    def dialect(self) -> Dialect:
        """How to word queries."""

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

    def estimate(self, query: Query) -> int:
        """Estimate how many rows a query has without reading them (SQLite: counts them), on a connection of its own."""

    def interrupt(self) -> None:
        """End the running query and every later one with CallCancelledError. Any thread; may block."""


class Database(Protocol):
    """One database, for all calls."""

    @property
    def driver(self) -> Driver:
        """What reads the rows."""

    @property
    def pool(self) -> PoolState:
        """The connections for queries."""

    @property
    def queries_killed(self) -> int:
        """How many queries were ended at the database because their call had ended."""

    def session(
        self, *, deadline_seconds: float | None = None, snapshot: bool = False
    ) -> AbstractContextManager[Session]:
        """Open a session.

        Args:
            deadline_seconds: The call's remaining time; no query runs longer. None: the setting's limit.
            snapshot: See one state of the table throughout.
        """

    def check(self) -> DatabaseFound:
        """Check connection and table; return what was found.

        Raises:
            UnavailableError: The database does not answer.
            PreconditionError: Credentials, table or its shape are wrong; the message says how to mend it.
        """

    def ping(self) -> None:
        """Ask for one round trip, apart from the pool.

        Raises:
            UserStreamError: The database does not answer.
        """

    def close(self) -> None:
        """Close all connections."""
