"""What the service needs of a database; `mysql/` and `sqlite.py` implement it.

Each call has a session of its own (`rows/session.py`).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from userstream_server.databases.host_state import HostState
from userstream_server.databases.pool_state import PoolState
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.session import Session
from userstream_server.rows.table import Table

__all__ = ["Database", "DatabaseFound", "Driver"]


@dataclass(frozen=True, slots=True)
class Driver:
    """The software that reads the rows.

    Attributes:
        engine: `mysql` (MariaDB too) or `sqlite`.
        name: The package.
        version: Its version.
        kind: `c` with its C extension, `python` without it, which is ten times slower.
        encoder: `c` if native_rows.c encodes users, `python` if rows/encoding.py does.
    """

    engine: str
    name: str
    version: str
    kind: str
    encoder: str = "python"


@dataclass(frozen=True, slots=True)
class DatabaseFound:
    """The database that was found, in words for an operator.

    Attributes:
        server: Its kind and version.
        transport: Whether the connection is encrypted.
        driver: Which part of the driver runs.
        table: The table.
        fast_driver: False if that part is much slower than another one would be.
    """

    server: str
    transport: str
    driver: str
    table: Table
    fast_driver: bool = True


class Database(Protocol):
    """One database for all calls."""

    @property
    def driver(self) -> Driver:
        """The software that reads the rows."""

    @property
    def pool(self) -> PoolState:
        """The connection pool for queries."""

    @property
    def queries_killed(self) -> int:
        """How many queries were killed because their call had ended."""

    def session(
        self,
        *,
        deadline_seconds: float | None = None,
        snapshot: bool = False,
        caller: str = "",
        after: Freshness | None = None,
    ) -> AbstractContextManager[Session]:
        """Open a session for one call.

        Args:
            deadline_seconds: The call's remaining time, which no query exceeds. None: only the setting limits it.
            snapshot: Read everything in one read view.
            caller: Whose call it is, for fair waiting; equal for all calls of one caller. Never shown.
            after: What a resumed scan has read already, so that no host is read that has less; None for a new scan.
        """

    def hosts(self) -> Sequence[HostState]:
        """Return what is known of each of several hosts, in the URL's order; empty where there is only one."""

    def check(self) -> DatabaseFound:
        """Check connection and table and return what was found.

        Raises:
            UnavailableError: The database does not answer.
            PreconditionError: Credentials, table or its shape are wrong; the message says how to fix it.
        """

    def ping(self) -> None:
        """Make one round trip on a new connection, apart from the pool.

        Raises:
            UserStreamError: The database does not answer.
        """

    def close(self) -> None:
        """Close all connections."""
