"""One connection to MySQL or MariaDB, and how rows are read on it.

Users on their way to the wire, and ages to be counted, are read in C where that part was built (`native_rows`).
Otherwise, and for everything else, rows are read with the driver's C extension's own `fetch_row`, as
tuples of bytes; the driver's cursors cost several times more. Where the extension does not load, the
driver's Python side does the same job ten times slower.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from time import monotonic
from typing import Any

from userstream_server.databases.database import DatabaseFound
from userstream_server.databases.mysql.connecting import (
    DRIVER_ERRORS,
    Address,
    connect_any,
    is_mariadb,
    is_pure,
)
from userstream_server.databases.mysql.errors import translate_error
from userstream_server.databases.mysql.native_rows import native_rows
from userstream_server.databases.options import DatabaseOptions
from userstream_server.rows.ages import count_ages
from userstream_server.rows.encoding import encode_blocks
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.session import BLOCK_ROWS
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers

__all__ = ["MySQLConnection"]


class MySQLConnection:
    """One connection as the pool keeps it.

    Args:
        options: How to connect.
        addresses: The hosts, in the order to try them.

    Attributes:
        address: The host it leads to.
        thread_id: What the database calls it, for KILL.
        is_mariadb: Whether that is a MariaDB.
        used_at: See `pool.Poolable`.
        reusable: See `pool.Poolable`.
    """

    def __init__(self, options: DatabaseOptions, addresses: tuple[Address, ...]) -> None:
        """Connect."""
        self._raw, self.address = connect_any(options, addresses)
        self._pure = is_pure(options)
        self.thread_id = int(self._raw.connection_id)
        self._version = str(self._raw.server_info)
        self.is_mariadb = is_mariadb(self._raw)
        self.used_at = monotonic()
        self.reusable = True
        self._unread = False
        self._native = native_rows(self._raw, options)

    @property
    def unread(self) -> bool:
        """Whether a result was not read to its end."""
        return self._unread or (self._native is not None and self._native.unread)

    def blocks(
        self,
        text: str,
        parameters: tuple[object, ...] = (),
        rows: Callable[[], int] = lambda: BLOCK_ROWS,
    ) -> Generator[list[Any]]:
        """Run a statement and yield its rows in blocks of tuples of bytes."""
        with _translated():
            take = self._run_pure(text, parameters) if self._pure else self._run(text, parameters)
            self._unread = True
            while block := list(islice(take, rows())):
                yield block
            if not self._pure:
                self._raw.free_result()
            self._unread = False

    def read(self, query: Query) -> Generator[list[Any]]:
        """Run a query as it is, without a time limit of its own, and yield its rows as `blocks`."""
        return self.blocks(query.text, query.parameters)

    def encoded(
        self,
        text: str,
        parameters: tuple[object, ...],
        rows: Callable[[], int],
        fields: tuple[str, ...] = ALL_FIELDS,
    ) -> Generator[EncodedUsers]:
        """Run a query for these fields of users and yield them encoded, as many at once as `rows` says."""
        if self._native is None:
            yield from encode_blocks(self.blocks(text, parameters, rows), fields)
            return
        with _translated():
            yield from self._native.encoded(self._quoted(text, parameters), rows, fields)

    def counted(self, text: str, parameters: tuple[object, ...] = ()) -> Generator[Counter[int]]:
        """Run a query for ages and yield how many rows there are of each, step by step."""
        if self._native is None:
            yield from count_ages(self.blocks(text, parameters))
            return
        with _translated():
            yield from self._native.counted(self._quoted(text, parameters))

    def execute(self, text: str) -> None:
        """Run a statement that has no rows."""
        with _translated():
            self._raw.cmd_query(text)

    def describe(self, table: Table) -> DatabaseFound:
        """Say what this connection leads to, and how."""
        (((_, cipher),),) = self.blocks("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return DatabaseFound(
            f"{'MariaDB' if self.is_mariadb else 'MySQL'} {self._version}",
            f"encrypted ({cipher.decode()})" if cipher else "not encrypted",
            self._describe_driver(),
            table,
            fast_driver=not self._pure,
        )

    def _describe_driver(self) -> str:
        if self._pure:
            return "pure Python, ten times slower"
        return f"C extension, rows encoded in {'C' if self._native else 'Python, half as fast'}"

    def is_alive(self) -> bool:
        """Ask the database with one round trip."""
        try:
            self._raw.ping(reconnect=False)
        except DRIVER_ERRORS:
            return False
        return True

    def close(self) -> None:
        """Close the connection without reading the rest of a result. Its query ends when it next sends rows.

        Raises:
            RuntimeError: Another thread uses this connection.
        """
        with self._native.guard if self._native else nullcontext():
            with suppress(*DRIVER_ERRORS):
                self._close_raw()
            if self._native:
                # Only now: of an open connection this would read the rest.
                self._native.close()

    def _close_raw(self) -> None:
        if self._unread and not self._pure:
            # The driver's own close would read the rest first.
            self._raw._cmysql.close()
        else:
            self._raw.close()

    def _run(self, text: str, parameters: tuple[object, ...]) -> Iterator[Any]:
        """Run a statement; return its rows without a single Python frame in between."""
        # Not through a cursor: making one asks the server first whether it still lives.
        self._raw.cmd_query(self._quoted(text, parameters), raw=True)
        return iter(self._raw._cmysql.fetch_row, None)

    def _quoted(self, text: str, parameters: tuple[object, ...]) -> bytes:
        """Put parameters into a statement, as the driver quotes them."""
        if not parameters:
            return text.encode()
        return text.encode() % tuple(self._raw.prepare_for_mysql(parameters))

    def _run_pure(self, text: str, parameters: tuple[object, ...]) -> Iterator[Any]:
        """Do the same without the C extension."""
        cursor = self._raw.cursor(raw=True)
        cursor.execute(text, parameters)
        # This side hands out bytearrays, and None for NULL, which only EXPLAIN has here.
        return (tuple(v if v is None else bytes(v) for v in row) for row in cursor)


@contextmanager
def _translated() -> Iterator[None]:
    """Let no driver error out."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error
