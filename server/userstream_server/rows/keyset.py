"""Keyset chunks: a long scan as many short queries, each beginning behind the last one's last key.

A chunk is read whole and its connection given back before its first row is handed out, so a
consumer that stalls holds neither a connection nor a read view. How many rows a chunk has follows
the consumer and the database: as many as either takes in a fraction of a second, so that memory
stays bounded, nobody waits long for a connection, and a fast consumer pays for few queries. For a
fast one, database and network are kept busy at the same time: while it takes one chunk, the next is
read.

Keyset pagination: https://use-the-index-luke.com/no-offset
"""

from collections.abc import Generator
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, replace
from time import monotonic
from typing import Generic, TypeVar

from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rows.sql import users_query
from userstream_server.rows.types import Packer

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
        target_seconds: A chunk should last about this long, with the consumer and with the database: others
            wait for its connection.
        multiple_of: Chunks are whole multiples of this many rows, so that no pack ends with its chunk.
    """

    first_rows: int = 250
    max_rows: int = 32_000
    target_seconds: float = 0.25
    multiple_of: int = 1

    def first(self) -> int:
        """Return the first chunk's rows."""
        return self._whole(self.first_rows)

    def following(self, rows: int, seconds: float) -> int:
        """Return the next chunk's rows, given how long the last ones took to read or to consume."""
        wished = rows * self.target_seconds / max(seconds, 1e-6)
        return self._whole(max(self.first_rows, min(self.max_rows, rows * _GROWTH, int(wished))))

    def is_brisk(self, rows: int) -> bool:
        """Say whether a consumer that has come to chunks of so many rows deserves to be read ahead for."""
        return rows > self.first() * _GROWTH or rows == self._whole(self.max_rows)

    def _whole(self, rows: int) -> int:
        return max(1, rows // self.multiple_of) * self.multiple_of


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[T]):
    """What one query gave.

    Attributes:
        packs: Its users, packed; none when it found no more.
        rows: How many it was to have.
        seconds: How long its reading took, from its first row on.
        rest: The scan behind it; None when it reached the end.
    """

    packs: list[T]
    rows: int
    seconds: float
    rest: Scan | None


def read_chunks(
    session: Session,
    scan: Scan,
    packer: Packer[T],
    sizes: ChunkSizes,
    readers: Executor | None = None,
) -> Generator[list[T]]:
    """Yield a scan's users chunk by chunk, each a list of packs; no chunk is empty.

    While a brisk consumer takes a chunk, the next one is read already. It too is read whole and its
    connection given back whatever the consumer does, so stalling costs a second chunk's memory at most.

    Args:
        session: Where to read.
        scan: What to read.
        packer: What to make of the rows.
        sizes: How many rows to read at once.
        readers: Reads ahead; None reads each chunk only when it is asked for.

    Raises:
        UserStreamError: From the session.
    """
    rows = sizes.first()
    chunk = _read_chunk(session, packer, scan, rows)
    while chunk.packs:
        ahead: Future[_Chunk[T]] | None = None
        if readers and chunk.rest and sizes.is_brisk(chunk.rows):
            ahead = readers.submit(
                copy_context().run, _read_chunk, session, packer, chunk.rest, rows
            )
        handed_out_at = monotonic()
        try:
            yield chunk.packs
        except BaseException:
            # The session must not end under a query.
            if ahead and not ahead.cancel():
                wait((ahead,))
            raise
        if chunk.rest is None:
            return
        consumed_seconds = monotonic() - handed_out_at
        rows = sizes.following(chunk.rows, max(consumed_seconds, chunk.seconds))
        chunk = ahead.result() if ahead else _read_chunk(session, packer, chunk.rest, rows)


def _read_chunk(session: Session, packer: Packer[T], scan: Scan, rows: int) -> _Chunk[T]:
    """Read the next `rows` users of a scan."""
    wanted = rows if scan.limit is None else min(rows, scan.limit)
    packs: list[T] = []
    found = 0
    last_key = b""
    began_at = 0.0
    query = users_query(session.dialect, scan, limit=wanted)
    with closing(packer.read(session, query)) as reading:
        for packed in reading:
            began_at = began_at or monotonic()
            packs.append(packed.pack)
            found += packed.rows
            last_key = packed.last_user_id
    seconds = monotonic() - began_at
    if found < wanted or found == scan.limit:
        return _Chunk(packs, rows, seconds, None)
    left = None if scan.limit is None else scan.limit - found
    return _Chunk(packs, rows, seconds, replace(scan, after=last_key.decode("ascii"), limit=left))
