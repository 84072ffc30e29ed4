"""One connection that is opened once and kept, apart from the pool."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from userstream_server.databases.pool import Poolable

__all__ = ["KeptConnection"]

C = TypeVar("C", bound=Poolable)


class KeptConnection(Generic[C]):
    """A connection for health checks: neither a busy pool nor a lack of file descriptors keeps one from it.

    Args:
        connect: Opens a connection; raises UserStreamError.
    """

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._kept: C | None = None

    @contextmanager
    def living(self) -> Iterator[C]:
        """Yield it after a round trip; open another one if the database has closed it.

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
            if kept is not None:
                kept.close()

    def _take(self) -> C:
        kept, self._kept = self._kept, None
        if kept is not None:
            if kept.is_alive():
                return kept
            kept.close()
        return self._connect()
