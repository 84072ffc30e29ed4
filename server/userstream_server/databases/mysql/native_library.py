"""The library of `native_rows.c`: C loops that fetch rows and encode users, or count ages.

It was built with the package if there was a compiler (scripts/build_native.py).
"""

import ctypes
import threading
import weakref
from collections import Counter
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from userstream_server.errors import InternalError
from userstream_server.rows.fields import ALL_FIELDS
from userstream_server.rows.row_check import check_rows, checked_age
from userstream_server.rows.types import EncodedUsers

__all__ = ["LIBRARY", "OneThread", "RowFetcher", "load_library"]

LIBRARY = Path(__file__).with_name("libnative_rows.so")
_INTERFACE = 3
"""What native_rows.c says of itself; a library left from another version is not used."""
_READY_AGES = 1024
_LONGEST_NUMBER = 80
_NO_MEMORY, _NO_USER = -1, -2


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("used", ctypes.c_size_t),
        ("room", ctypes.c_size_t),
    )


_UNFIT = (
    ("unfit_row", ctypes.POINTER(ctypes.c_void_p)),
    ("unfit_lengths", ctypes.POINTER(ctypes.c_ulong)),
)


class _Encoded(ctypes.Structure):
    _fields_ = (
        ("users", _Buffer),
        ("user_ids", _Buffer),
        ("last_id_bytes", ctypes.c_size_t),
        *_UNFIT,
        ("row", ctypes.c_void_p * len(ALL_FIELDS)),
        ("lengths", ctypes.c_ulong * len(ALL_FIELDS)),
    )


class _Counted(ctypes.Structure):
    _fields_ = (
        ("users", ctypes.c_uint64 * _READY_AGES),
        ("other_bytes", ctypes.c_size_t),
        ("other", ctypes.c_char * _LONGEST_NUMBER),
        *_UNFIT,
    )


class OneThread:
    """A guard that refuses a second thread instead of letting it wait; the same thread may enter again.

    C code runs without the interpreter's lock. Two threads in one connection or one buffer would corrupt memory.

    Raises:
        RuntimeError: Another thread is inside.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("two threads use one database connection at the same time")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()


class RowFetcher:
    """The C loops and their buffers.

    Args:
        library: From `load_library`.
        fetch_row: Address of `mysql_fetch_row`.
        fetch_lengths: Address of `mysql_fetch_lengths`.

    Attributes:
        guard: Held by whoever uses the connection in C. The methods hold it themselves.
    """

    def __init__(self, library: ctypes.CDLL, fetch_row: int, fetch_lengths: int) -> None:
        self._library = library
        self._functions = fetch_row, fetch_lengths
        self._out = _Encoded()
        self._counted = _Counted()
        self.guard = OneThread()
        # For a fetcher dropped without `close`. Not at exit, when a thread may still be fetching.
        release = weakref.finalize(self, library.userstream_free, ctypes.byref(self._out))
        release.atexit = False

    def fetch(self, result: int, rows: int, fields: tuple[str, ...] = ALL_FIELDS) -> EncodedUsers:
        """Fetch up to `rows` rows.

        Args:
            result: Address of the `MYSQL_RES`.
            rows: How many; fewer come at the end of the result, or when reading failed.
            fields: What the result's columns are, in the order of `ALL_FIELDS`.

        Raises:
            MemoryError: There is not enough for a row.
            RuntimeError: Another thread uses this fetcher.
            PreconditionError: A row cannot be sent.
        """
        out = self._out
        with self.guard:
            fetch = self._library.userstream_fetch
            count = self._call(fetch, result, rows, _bits_of(fields), ctypes.byref(out))
            if count == _NO_USER:
                check_rows([_unfit(out, columns=len(ALL_FIELDS))])
                raise InternalError
            users, ids = out.users, out.user_ids
            user_ids = ctypes.string_at(ids.bytes, ids.used) if ids.used else b""
            return EncodedUsers(
                ctypes.string_at(users.bytes, users.used) if users.used else b"",
                count,
                user_ids,
                user_ids[len(user_ids) - out.last_id_bytes :],
            )

    def count(self, result: int, rows: int) -> tuple[Counter[int], bool]:
        """Count the ages of up to `rows` rows of that one column.

        Returns:
            How many there are of each age, and whether the result is over, or reading failed.

        Raises:
            RuntimeError: Another thread uses this fetcher.
            PreconditionError: An age is NULL, not a whole number, or beyond 64 bits.
        """
        with self.guard:
            return self._count(result, rows)

    def _count(self, result: int, rows: int) -> tuple[Counter[int], bool]:
        out = self._counted
        ctypes.memset(ctypes.byref(out), 0, ctypes.sizeof(out))
        ages: Counter[int] = Counter()
        left, is_over = rows, False
        while left and not is_over:
            count = self._call(self._library.userstream_count, result, left, ctypes.byref(out))
            if count == _NO_USER:
                checked_age(*_unfit(out, columns=1))
                raise InternalError
            if out.other_bytes:  # the loop ends behind an age that has no place in its table
                ages[int(bytes(out.other[: out.other_bytes]))] += 1
            else:
                is_over = count < left
            left -= count
        ages.update({age: users for age, users in enumerate(out.users) if users})
        return ages, is_over

    def _call(self, loop: Any, *arguments: Any) -> int:
        count = int(loop(*self._functions, *arguments))
        if count == _NO_MEMORY:
            raise MemoryError
        return count

    def close(self) -> None:
        """Release the buffers; the next fetch takes new ones.

        Raises:
            RuntimeError: Another thread uses this fetcher.
        """
        with self.guard:
            self._library.userstream_free(ctypes.byref(self._out))


@cache
def _bits_of(fields: tuple[str, ...]) -> int:
    """Return fields as native_rows.c takes them: a bit for each."""
    return sum(1 << ALL_FIELDS.index(name) for name in fields)


def _unfit(out: Any, *, columns: int) -> tuple[bytes | None, ...]:
    """Return the row at which a loop stopped, as the driver would hand it out."""
    row, lengths = out.unfit_row, out.unfit_lengths
    return tuple(
        None if row[n] is None else ctypes.string_at(row[n], lengths[n]) for n in range(columns)
    )


@cache
def load_library(path: Path = LIBRARY) -> ctypes.CDLL | None:
    """Load the library built from native_rows.c; None if there is none, or one of another version."""
    try:
        library = ctypes.CDLL(str(path))
        if library.userstream_interface() != _INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    address, fields = ctypes.c_void_p, ctypes.c_uint
    library.userstream_fetch.argtypes = (address, address, address, ctypes.c_long, fields, address)
    library.userstream_count.argtypes = (address, address, address, ctypes.c_long, address)
    for loop in (library.userstream_fetch, library.userstream_count):
        loop.restype = ctypes.c_long
    library.userstream_free.argtypes = (address,)
    library.userstream_free.restype = None
    return library
