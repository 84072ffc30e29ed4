"""A connection for health checks, apart from the pool."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from userstream_server.databases.pool import Poolable
from userstream_server.errors import UnavailableError

__all__ = ["OUT_OF_FILES", "KeptConnection"]

OUT_OF_FILES = "OUT_OF_FILES"
"""Reason of the UnavailableError when this process may open no more files."""

C = TypeVar("C", bound=Poolable)


class KeptConnection(Generic[C]):
    """Opens a new connection for each check, because that shows whether the database still accepts this server.

    The last one is kept, for the time when no file descriptor is left for another one.

    Args:
        connect: Opens a connection; raises UserStreamError.
    """

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._kept: C | None = None

    @contextmanager
    def living(self) -> Iterator[C]:
        """Yield a connection on which the database has just answered.

        Raises:
            UserStreamError: The database does not answer.
        """
        with self._lock:
            connection = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._kept = connection

    def close(self) -> None:
        """Close it."""
        with self._lock:
            kept, self._kept = self._kept, None
            _close(kept)

    def _take(self) -> C:
        kept, self._kept = self._kept, None
        try:
            connection = self._connect()
        except UnavailableError as error:
            if kept is not None and error.reason == OUT_OF_FILES and kept.is_alive():
                return kept
            _close(kept)
            raise
        _close(kept)
        return connection


def _close(connection: Poolable | None) -> None:
    if connection is not None:
        connection.close()
