"""A pool of connections: SQLAlchemy's, which stands alone.

The driver's own pool loses a slot for good over one unread result, holds 32 at most, and never
waits. A connection comes back here only when its result was read to the end; otherwise it is
discarded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Generic, Protocol, TypeVar, cast

from sqlalchemy import event, exc
from sqlalchemy.pool import QueuePool

from userstream_server.errors import OverloadedError

__all__ = ["Pool", "PoolState", "Poolable"]

_IDLE_CHECK_SECONDS = 5.0
"""A connection that rested longer is asked whether it still lives: the database may have closed it."""


class Poolable(Protocol):
    """A connection the pool can keep.

    Attributes:
        used_at: `time.monotonic()` of the last use.
        reusable: False once a result was left unread or the connection was killed.
    """

    used_at: float
    reusable: bool

    def close(self) -> None:
        """Close it at once."""

    def is_alive(self) -> bool:
        """Ask the database with one round trip."""


class PoolState(Protocol):
    """What an observer may ask of a pool."""

    @property
    def size(self) -> int:
        """The most connections."""

    @property
    def in_use(self) -> int:
        """How many are handed out."""

    @property
    def waiting(self) -> int:
        """How many queries ask for one just now, and have none yet."""


C = TypeVar("C", bound=Poolable)


class Pool(Generic[C]):
    """At most `size` connections, handed out for one query (or one snapshot) at a time.

    Args:
        connect: Opens a connection; raises UserStreamError.
        size: The most connections.
        wait_seconds: How long to wait for a free one.
    """

    def __init__(self, connect: Callable[[], C], *, size: int, wait_seconds: float) -> None:
        self._pool = QueuePool(
            connect,  # type: ignore[arg-type]  # ours has what the pool uses: close()
            pool_size=size,
            max_overflow=0,
            timeout=wait_seconds,
            reset_on_return=None,  # autocommit is on, so there is nothing to roll back
            use_lifo=True,  # the least used ones can then time out at the database
        )
        event.listen(self._pool, "checkout", _refuse_dead)
        self._asking: set[object] = set()
        self._size = size

    @property
    def size(self) -> int:
        """See `PoolState.size`."""
        return self._size

    @property
    def in_use(self) -> int:
        """See `PoolState.in_use`."""
        return self._pool.checkedout()

    @property
    def waiting(self) -> int:
        """See `PoolState.waiting`."""
        return len(self._asking)

    @contextmanager
    def connection(self) -> Iterator[C]:
        """Hand out a connection and take it back, or discard it, when the block ends.

        Raises:
            OverloadedError: None came free in time.
            UserStreamError: A new one could not be opened.
        """
        # Each its own, because += on a number would lose some between threads.
        self._asking.add(asking := object())
        try:
            proxy = self._pool.connect()
        except exc.TimeoutError:
            raise OverloadedError(
                "POOL_EXHAUSTED", "All database connections are busy. Try again a little later."
            ) from None
        finally:
            self._asking.discard(asking)
        connection = cast("C", proxy.dbapi_connection)
        try:
            yield connection
        except BaseException:
            connection.reusable = False
            raise
        finally:
            connection.used_at = monotonic()
            if connection.reusable:
                proxy.close()
            else:
                proxy.invalidate()

    def close(self) -> None:
        """Close the resting connections; those in use are closed when they come back."""
        self._pool.dispose()


def _refuse_dead(connection: Poolable, _record: object, _proxy: object) -> None:
    """Make the pool replace a connection that the database has closed meanwhile."""
    if monotonic() - connection.used_at > _IDLE_CHECK_SECONDS and not connection.is_alive():
        raise exc.DisconnectionError
