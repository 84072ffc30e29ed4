"""Keyset pagination: one long scan as many short queries, each starting after the previous one's last key.

Each query's rows (a chunk) are read completely and the connection returns to the pool before the
first row is handed out, so a stalled consumer holds neither a connection nor a read view. Chunk
sizes adapt to the consumer and the database: large enough that few queries are needed, small enough
that memory stays bounded and nobody waits long for a connection.

Keyset pagination: https://use-the-index-luke.com/no-offset
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from userstream_server.errors import UnavailableError
from userstream_server.rows.batches import BatchReader, UserBatch
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session, refuse_changed_table
from userstream_server.rows.sql import users_query

__all__ = ["ChunkPace", "ChunkSizes", "read_chunks"]

T = TypeVar("T")
_GROWTH = 4
"""A consumer that stalls is noticed in its second chunk, so that one must not be large yet."""


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """The limits of chunk sizes.

    Attributes:
        first_rows: Rows in the first chunk; small, so that the first user leaves at once.
        max_rows: Rows in the largest chunk; bounds a stream's memory.
        target_seconds: How long a chunk should last, both at the consumer and at the database.
        multiple_of: Chunks are whole multiples of this many rows, so that no batch ends with its chunk.
    """

    first_rows: int = 250
    max_rows: int = 32_000
    target_seconds: float = 0.25
    multiple_of: int = 1

    def whole(self, rows: int) -> int:
        """Round down to a whole number of batches, at least one."""
        return max(1, rows // self.multiple_of) * self.multiple_of


class ChunkPace:
    """How large one stream's next chunk is, from how fast its consumer and the database were.

    Args:
        sizes: The limits.

    Attributes:
        rows: Rows of the next chunk to be read. A prefetched chunk is read before the consumer has taken the one
            in hand, so it goes by the chunk before that.
    """

    def __init__(self, sizes: ChunkSizes) -> None:
        self._sizes = sizes
        self.rows = sizes.whole(sizes.first_rows)

    def consumed(self, chunk: "Chunk[Any]", seconds: float) -> None:
        """Choose the next size, given how long the consumer took for a chunk."""
        sizes = self._sizes
        slowest_seconds = max(seconds, chunk.read_seconds, 1e-6)
        wished = int(chunk.rows * sizes.target_seconds / slowest_seconds)
        bounded = max(sizes.first_rows, min(sizes.max_rows, chunk.rows * _GROWTH, wished))
        self.rows = sizes.whole(bounded)

    def is_fast(self, rows: int) -> bool:
        """Say whether a consumer that has reached chunks of this many rows deserves prefetch."""
        sizes = self._sizes
        return rows > sizes.whole(sizes.first_rows) * _GROWTH or rows == sizes.whole(sizes.max_rows)


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    """What one query found.

    Attributes:
        batches: Its users in batches, never none.
        rows: How many rows the chunk was to have.
        read_seconds: How long reading it took, from its first batch on.
        is_last: Whether the scan ends here.
    """

    batches: list[UserBatch[T]]
    rows: int
    read_seconds: float
    is_last: bool


def read_chunks(
    session: Session, scan: Scan, reader: BatchReader[T], pace: ChunkPace
) -> Generator[Chunk[T]]:
    """Yield a scan's users chunk by chunk; no chunk is empty.

    Args:
        session: Where to read.
        scan: What to read.
        reader: Makes batches of the rows.
        pace: Says how many rows each chunk has; the caller tells it when one was consumed.

    Raises:
        UserStreamError: From the session.
    """
    left = scan.limit
    while left is None or left > 0:
        rows = pace.rows
        wanted = rows if left is None else min(rows, left)
        batches, read_seconds = _read(session, reader, scan, wanted)
        found = sum(batch.user_count for batch in batches)
        left = None if left is None else left - found
        is_last = found < wanted or left == 0
        if is_last:
            refuse_changed_table(session, scan)
        if batches:
            scan = scan.beginning_after(batches[-1].last_user_id.decode("ascii"))
            yield Chunk(batches, rows, read_seconds, is_last)
        if is_last:
            return


def _read(
    session: Session, reader: BatchReader[T], scan: Scan, rows: int
) -> tuple[list[UserBatch[T]], float]:
    """Read the next `rows` users of a scan; return them and the seconds from the first batch on."""
    query = users_query(session.dialect, scan, limit=rows)
    while True:
        batches: list[UserBatch[T]] = []
        began_at = 0.0
        try:
            with closing(reader.read(session, query)) as reading:
                for batch in reading:
                    began_at = began_at or monotonic()
                    batches.append(batch)
        except UnavailableError as error:
            # Nothing of the chunk was sent yet, so another host may read it from its start.
            session.move_on(error)
            continue
        seconds = monotonic() - began_at
        if batches:
            batches[-1] = batches[-1]._replace(ends_chunk=True)
        return batches, seconds
