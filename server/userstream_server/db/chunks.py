"""Keyset chunks: a long scan as many short queries, each beginning behind the last one's last key.

A chunk is read whole and its connection given back before its first row is handed out, so a
consumer that stalls holds neither a connection nor a read view. How many rows a chunk has follows
the consumer: as many as it takes in a fraction of a second, so that memory stays bounded and a fast
consumer pays for few queries.

Keyset pagination: https://use-the-index-luke.com/no-offset
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from userstream_server.db.database import Session
from userstream_server.db.rows import Packer
from userstream_server.db.scan import Scan
from userstream_server.db.sql import users_query

__all__ = ["ChunkSizes", "read_chunks"]

T = TypeVar("T")
_GROWTH = 4
"""A stalled consumer is met in its second chunk, so that one must not be large yet."""


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How many rows to read at once.

    Attributes:
        first_rows: The first chunk; small, so that the first user leaves at once.
        max_rows: The largest chunk; bounds a stream's memory.
        target_seconds: A chunk should last the consumer about this long.
        multiple_of: Chunks are whole multiples of this many rows, so that no pack ends with its chunk.
    """

    first_rows: int = 250
    max_rows: int = 20_000
    target_seconds: float = 0.25
    multiple_of: int = 1

    def first(self) -> int:
        """Return the first chunk's rows."""
        return self._whole(self.first_rows)

    def following(self, rows: int, consumed_seconds: float) -> int:
        """Return the next chunk's rows, given how long the consumer took for the last ones."""
        wished = rows * self.target_seconds / max(consumed_seconds, 1e-6)
        return self._whole(max(self.first_rows, min(self.max_rows, rows * _GROWTH, int(wished))))

    def _whole(self, rows: int) -> int:
        return max(1, rows // self.multiple_of) * self.multiple_of


def read_chunks(
    session: Session, scan: Scan, packer: Packer[T], sizes: ChunkSizes
) -> Generator[list[T]]:
    """Yield a scan's users chunk by chunk, each a list of packs; no chunk is empty.

    Raises:
        UserStreamError: From the session.
    """
    rows = sizes.first()
    left = scan.limit
    while left is None or left > 0:
        wanted = rows if left is None else min(rows, left)
        packs, found, last_key = _read_chunk(session, scan, packer, wanted)
        if last_key is None:
            return
        handed_out_at = monotonic()
        yield packs
        if found < wanted:
            return
        left = None if left is None else left - wanted
        scan = scan.beginning_after(last_key)
        rows = sizes.following(rows, monotonic() - handed_out_at)


def _read_chunk(
    session: Session, scan: Scan, packer: Packer[T], rows: int
) -> tuple[list[T], int, str | None]:
    """Read the next `rows` users of a scan; return their packs, their number and the last one's key."""
    packs: list[T] = []
    found = 0
    last_key: bytes | None = None
    query = users_query(session.dialect, scan, limit=rows)
    with closing(session.blocks(query, packer.rows)) as blocks:
        for block in blocks:
            packs.append(packer(block))
            found += len(block)
            last_key = block[-1][0]
    return packs, found, None if last_key is None else last_key.decode("ascii")
