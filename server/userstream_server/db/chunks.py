"""Keyset chunks: a long scan as many short queries, each beginning behind the last one's last key.

A chunk is read whole and its connection given back before its first row is handed out, so a
consumer that stalls holds neither a connection nor a read view. How many rows a chunk has follows
the consumer: as many as it takes in a fraction of a second, so that memory stays bounded and a fast
consumer pays for few queries.

Keyset pagination: https://use-the-index-luke.com/no-offset
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from userstream_server.db.database import Session
from userstream_server.db.rows import RawRow
from userstream_server.db.scan import Scan
from userstream_server.db.sql import users_query

__all__ = ["ChunkSizes", "Convert", "read_chunk", "read_chunks"]

T = TypeVar("T")
Convert = Callable[[Sequence[RawRow]], list[T]]
"""Turns raw rows into what the caller wants, block by block, while the rest is still being read."""


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How many rows to read at once.

    Attributes:
        first_rows: The first chunk; small, so that the first user leaves at once.
        max_rows: The largest chunk; bounds a stream's memory.
        target_seconds: A chunk should last the consumer about this long.
    """

    first_rows: int = 250
    max_rows: int = 20_000
    target_seconds: float = 0.25

    def following(self, rows: int, consumed_seconds: float) -> int:
        """Return the next chunk's rows, given how long the consumer took for the last ones."""
        wished = rows * self.target_seconds / max(consumed_seconds, 1e-6)
        return max(self.first_rows, min(self.max_rows, rows * 8, int(wished)))


def read_chunks(
    session: Session, scan: Scan, convert: Convert[T], sizes: ChunkSizes
) -> Generator[list[T]]:
    """Yield a scan's users chunk by chunk; no chunk is empty.

    Raises:
        UserStreamError: From the session.
    """
    rows = sizes.first_rows
    left = scan.limit
    while left is None or left > 0:
        rows = rows if left is None else min(rows, left)
        chunk, last_key = read_chunk(session, scan, convert, rows)
        if chunk:
            handed_out_at = monotonic()
            yield chunk
            consumed_seconds = monotonic() - handed_out_at
        if len(chunk) < rows or last_key is None:
            return
        left = None if left is None else left - rows
        scan = scan.beginning_after(last_key)
        rows = sizes.following(rows, consumed_seconds)


def read_chunk(
    session: Session, scan: Scan, convert: Convert[T], rows: int, *, offset: int = 0
) -> tuple[list[T], str | None]:
    """Read the next `rows` users of a scan; return them and the last one's key."""
    chunk: list[T] = []
    last_key: bytes | None = None
    query = users_query(session.dialect, scan, limit=rows, offset=offset)
    with closing(session.blocks(query)) as blocks:
        for block in blocks:
            chunk += convert(block)
            last_key = block[-1][0]
    return chunk, None if last_key is None else last_key.decode("ascii")
