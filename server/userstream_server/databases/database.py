"""One database for all calls; `mysql` and `sqlite` are the two kinds.

A `Session` serves one call. It takes a connection from the pool for each query and gives it back as
soon as the rows are read, or, for a snapshot, keeps one connection and its read view. Another
thread may interrupt it at any time.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from userstream_server.databases.pool import PoolState
from userstream_server.rows.session import Session
from userstream_server.rows.table import Table

__all__ = ["Database", "DatabaseFound", "Driver"]


@dataclass(frozen=True, slots=True)
class Driver:
    """What reads the rows.

    Attributes:
        engine: `mysql` (MariaDB too) or `sqlite`.
        name: The package.
        version: Its version.
        kind: `c` for the C extension, `python` for the slow one without it.
        encoder: What encodes users: `c` for native_rows.c, `python` for rows/encoding.py.
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
        table: The table.
        fast_driver: False where that one is much slower than need be.
    """

    server: str
    transport: str
    driver: str
    table: Table
    fast_driver: bool = True


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
            PreconditionError: Credentials, table or its shape are wrong; the message says how to fix it.
        """

    def ping(self) -> None:
        """Ask for one round trip, apart from the pool.

        Raises:
            UserStreamError: The database does not answer.
        """

    def close(self) -> None:
        """Close all connections."""
