"""Rows fetched and encoded, or counted, in C (`native_rows.c`), over the connection that the driver already has.

The driver hands out one row at a time as Python objects, which costs most of what a row costs. Its C
extension carries MySQL's client library and exports it, so the loop over the rows can be C on the same
connection: its TLS, its account, its time-outs. What it must know of the driver is where in a
connection's object the library's `MYSQL` stands. That is no promise of the driver's, so it is taken only
from versions in which it was looked up, and only after the library has told the right connection's
number from there; in every other case rows are read in Python, with the same bytes (docs/adr/0008).

C API: https://dev.mysql.com/doc/c-api/9.0/en/c-api-function-reference.html
"""

import ctypes
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any

from mysql.connector import errors as driver_errors

from userstream_server.databases.mysql.connecting import DRIVER_VERSION, HAVE_CEXT, is_pure
from userstream_server.databases.mysql.native_library import RowFetcher, load_library
from userstream_server.databases.options import DatabaseOptions
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.types import EncodedUsers

if HAVE_CEXT:
    import _mysql_connector

__all__ = ["NativeReader", "can_read_natively", "native_rows"]

_DRIVERS = ("9.7.",)
"""Versions of the driver whose connection object is known: its header, then the MYSQL structure."""
_LEAST_OBJECT_BYTES = 1024
"""That structure alone is larger; an object below this holds at best a pointer to it."""

_COUNT_ROWS = 50_000
"""Ages counted in one step: some hundredths of a second, after which others see how far it is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    """An open `MYSQL_RES`. Compared by identity, because an address may be used again."""

    address: int


class NativeReader:
    """Runs queries on one of the driver's connections and reads their rows in C.

    Args:
        library: From `load_library`.
        client: The driver's C extension, which exports MySQL's client library.
        owner: The driver's object of the connection.
        session: Address of its `MYSQL`.

    Attributes:
        guard: Held while C code uses the connection.
    """

    def __init__(
        self, library: ctypes.CDLL, client: ctypes.CDLL, owner: object, session: int
    ) -> None:
        self._client = client
        self._owner = owner  # the address is valid for as long as this lives
        self._session = session
        self._result: _Result | None = None
        functions = (client.mysql_fetch_row, client.mysql_fetch_lengths)
        self._fetcher = RowFetcher(library, *map(_address, functions))
        self.guard = self._fetcher.guard

    @property
    def unread(self) -> bool:
        """Whether a result was not read to its end."""
        return self._result is not None

    def encoded(
        self, query: bytes, rows: Callable[[], int], fields: tuple[str, ...] = ALL_FIELDS
    ) -> Generator[EncodedUsers]:
        """Run a SELECT of some fields of users; yield its rows encoded, as many at once as `rows` says.

        Left early, its result stays unread; the connection must then be killed and closed.

        Args:
            query: The statement, with its parameters quoted.
            rows: Asked before each block how many rows it shall have.
            fields: What the columns are, in the order of `ALL_FIELDS`.

        Raises:
            MemoryError: There is not enough for a row.
            RuntimeError: Another thread uses this connection.
            mysql.connector.Error: With the library's number.
            PreconditionError: A row cannot be sent.
            ValueError: The query has other columns.
        """
        result = self._run(query, columns=len(fields))
        is_last = False
        while not is_last:
            wanted = rows()
            with self.guard:
                self._refuse_other(result)
                block = self._fetcher.fetch(result.address, wanted, fields)
                if is_last := block.user_count < wanted:
                    self._end()
            if block.user_count:
                yield block

    def counted(self, query: bytes) -> Generator[Counter[int]]:
        """Run a SELECT of age alone; yield how many rows there are of each, step by step.

        Left early, and raising, it is as `encoded`.
        """
        result = self._run(query, columns=1)
        is_last = False
        while not is_last:
            with self.guard:
                self._refuse_other(result)
                ages, is_last = self._fetcher.count(result.address, _COUNT_ROWS)
                if is_last:
                    self._end()
            yield ages

    def close(self) -> None:
        """Release the result and all memory.

        Of a connection that is open, this reads the rest of the result, which may take long; of a closed one, nothing.

        Raises:
            RuntimeError: Another thread uses this connection.
        """
        with self.guard:
            if self._result is not None:
                self._client.mysql_free_result(self._result.address)
                self._result = None
            self._fetcher.close()

    def _run(self, query: bytes, *, columns: int) -> _Result:
        """Send a query; return its result, of which nothing is read yet."""
        with self.guard:
            if self._client.mysql_real_query(self._session, query, len(query)):
                raise self._error()
            address = self._client.mysql_use_result(self._session)
            if address is None:
                raise self._error()
            self._result = result = _Result(address)
            if self._client.mysql_num_fields(address) != columns:
                raise ValueError("a row of other columns is no user")
            return result

    def _refuse_other(self, result: _Result) -> None:
        """Read no further if another thread has closed this result meanwhile."""
        if self._result is not result:
            raise RuntimeError("the result was closed while its rows were read")

    def _end(self) -> None:
        """Close a result behind its last row; raise what ended it earlier."""
        if self._client.mysql_errno(self._session):
            raise self._error()
        self.close()

    def _error(self) -> Exception:
        # Without the library's text, which may hold parts of the query.
        return driver_errors.Error(errno=self._client.mysql_errno(self._session))


def can_read_natively(options: DatabaseOptions) -> bool:
    """Say whether that is wished for and both libraries are there and known."""
    wished = options.native_rows and not is_pure(options)
    return wished and load_library() is not None and _load_client() is not None


def native_rows(connection: Any, options: DatabaseOptions) -> NativeReader | None:
    """Return a reader for one of the driver's connections; None where rows have to be read in Python."""
    library, client = load_library(), _load_client()
    if not can_read_natively(options) or library is None or client is None:
        return None
    owner = connection._cmysql
    # The object's header, then the MYSQL structure; the library tells whether it stands there.
    session = id(owner) + object.__basicsize__
    if client.mysql_thread_id(session) != connection.connection_id:
        return None
    return NativeReader(library, client, owner, session)


@cache
def _load_client() -> ctypes.CDLL | None:
    """Return MySQL's client library as the driver carries it; None if this driver is not known."""
    if not HAVE_CEXT or not DRIVER_VERSION.startswith(_DRIVERS):
        return None
    if _mysql_connector.MySQL.__basicsize__ < _LEAST_OBJECT_BYTES:
        return None
    address = ctypes.c_void_p
    types: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "mysql_real_query": (ctypes.c_int, (address, ctypes.c_char_p, ctypes.c_ulong)),
        "mysql_use_result": (address, (address,)),
        "mysql_free_result": (None, (address,)),
        "mysql_num_fields": (ctypes.c_uint, (address,)),
        "mysql_errno": (ctypes.c_uint, (address,)),
        "mysql_thread_id": (ctypes.c_ulong, (address,)),
    }
    try:
        client = ctypes.CDLL(_mysql_connector.__file__)
        for name, (returned, arguments) in types.items():
            function = getattr(client, name)
            function.restype, function.argtypes = returned, arguments
        _ = client.mysql_fetch_row, client.mysql_fetch_lengths
    except (OSError, AttributeError):  # an extension that does not export it
        return None
    return client


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
