"""The four generators over `user_data`, the same over MySQL and SQLite.

    users = Users(session)
    for user in users.stream_users(): ...
    for batch in users.batch_processing(batch_size=50): ...
    for page in users.lazy_paginate(page_size=100): ...
    average = sum(users.stream_user_ages()) / ...

All read in ascending order of user_id and keep one chunk in memory, never the table. A batch reader
says what rows become on their way out: lists of `UserRow`s, unless the caller wants bytes for the wire.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Generic, Literal, TypeVar, overload

from userstream_server.rows.ages import decode_ages
from userstream_server.rows.batches import BatchReader, DecodeUsers, UserBatch
from userstream_server.rows.by_id import encoded_by_id
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.keyset import Chunk, ChunkPace, ChunkSizes, read_chunks
from userstream_server.rows.prefetch import prefetch
from userstream_server.rows.row_check import checked_id
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.session import Session, read_with_failover, refuse_changed_table
from userstream_server.rows.sql import (
    Query,
    ages_query,
    ascending_query,
    boundary_query,
    count_query,
    last_key_query,
    users_query,
)
from userstream_server.rows.table import Table
from userstream_server.rows.types import UserRow

__all__ = ["DEFAULT_BATCH_AGE_OVER", "Page", "Users"]

T = TypeVar("T")
DEFAULT_BATCH_AGE_OVER = 25
"""Batches hold users strictly older than this unless the caller says otherwise."""

_EVERYONE = Scan()
_OVER_25 = Scan(filter=UserFilter(age_over=DEFAULT_BATCH_AGE_OVER))
_DEFAULT_SIZES = ChunkSizes()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page.

    Attributes:
        users: At most page_size users.
        user_count: How many.
        has_more: Whether another user follows.
        last_key: The last user's user_id.
    """

    users: T
    user_count: int
    has_more: bool
    last_key: str


class Users:
    """The four generators, within one session.

    Args:
        session: Where to read.
        sizes: How many rows one query may read.
        readers: Threads that prefetch for `stream_users` and `batch_processing`; None for no prefetch.
    """

    def __init__(
        self,
        session: Session,
        sizes: ChunkSizes = _DEFAULT_SIZES,
        readers: Executor | None = None,
    ) -> None:
        self._session = session
        self._sizes = sizes
        self._readers = readers

    @property
    def freshness(self) -> Freshness | None:
        """How new the data is that was read so far; None where only one database host is read."""
        return self._session.freshness

    @property
    def table(self) -> Table:
        """The table that is read."""
        return self._session.table

    @overload
    def stream_users(self, scan: Scan = ...) -> Generator[UserRow]: ...

    @overload
    def stream_users(self, scan: Scan, reader: BatchReader[T]) -> Generator[UserBatch[T]]: ...

    def stream_users(
        self, scan: Scan = _EVERYONE, reader: BatchReader[Any] | None = None
    ) -> Generator[Any]:
        """Yield a scan's users one by one, or with a reader batch by batch.

        Raises:
            UserStreamError: The database is away, the deadline over, the call cancelled.
        """
        if reader is not None:
            return self._batches(scan, reader, self._sizes)
        return self._one_by_one(scan)

    @overload
    def batch_processing(self, batch_size: int, scan: Scan = ...) -> Generator[list[UserRow]]: ...

    @overload
    def batch_processing(
        self, batch_size: int, scan: Scan, reader: BatchReader[T]
    ) -> Generator[UserBatch[T]]: ...

    def batch_processing(
        self, batch_size: int, scan: Scan = _OVER_25, reader: BatchReader[Any] | None = None
    ) -> Generator[Any]:
        """Yield batches of exactly `batch_size` users, fewer only in the last; by default users over 25.

        Args:
            batch_size: Users per batch.
            scan: Which users.
            reader: What to make of a batch; its batches must have `batch_size` users.

        Raises:
            UserStreamError: As for `stream_users`.
        """
        sizes = replace(self._sizes, multiple_of=batch_size)
        if reader is not None:
            return self._batches(scan, reader, sizes)
        return self._lists(scan, batch_size, sizes)

    @overload
    def lazy_paginate(
        self, page_size: int, scan: Scan = ..., *, offset: int = ...
    ) -> Generator[Page[list[UserRow]]]: ...

    @overload
    def lazy_paginate(
        self, page_size: int, scan: Scan, reader: BatchReader[T], *, offset: int = ...
    ) -> Generator[Page[T]]: ...

    def lazy_paginate(
        self,
        page_size: int,
        scan: Scan = _EVERYONE,
        reader: BatchReader[Any] | None = None,
        *,
        offset: int = 0,
    ) -> Generator[Page[Any]]:
        """Yield pages, each read only when it is asked for; none when no user matches.

        Args:
            page_size: Users a page.
            scan: Which users; its limit is not used.
            reader: What to make of a page; its batches must have `page_size` users.
            offset: Skip this many users first (LIMIT/OFFSET; its cost grows with it).

        Raises:
            UserStreamError: As for `stream_users`.
        """
        reader = reader or DecodeUsers(page_size)
        has_more = True
        while has_more:
            # One row more than the page shows whether another page follows, without a query for it.
            query = users_query(self._session.dialect, scan, limit=page_size + 1, offset=offset)
            batches = self._whole(reader, query)
            has_more = len(batches) > 1
            if not has_more:
                refuse_changed_table(self._session, scan)
            if not batches:
                return
            page = batches[0]
            last_key = page.last_user_id.decode("ascii")
            yield Page(page.users, page.user_count, has_more, last_key)
            scan, offset = scan.beginning_after(last_key), 0

    @overload
    def stream_user_ages(self, scan: Scan = ...) -> Generator[int]: ...

    @overload
    def stream_user_ages(
        self, scan: Scan, *, counted: Literal[True]
    ) -> Generator[Counter[int]]: ...

    def stream_user_ages(
        self, scan: Scan = _EVERYONE, *, counted: bool = False
    ) -> Generator[int] | Generator[Counter[int]]:
        """Yield the ages of a scan's users, in no order; only that column travels.

        One query, one connection until its end: meant for a consumer that only counts and never stalls.

        Args:
            scan: Which users.
            counted: Yield how many users there are of each age, step by step, instead of each age.

        Raises:
            UserStreamError: As for `stream_users`.
        """
        query = ages_query(self._session.dialect, scan)
        return self._session.counted(query) if counted else self._ages(query)

    def _ages(self, query: Query) -> Generator[int]:
        with closing(self._session.blocks(query)) as blocks:
            for block in blocks:
                yield from decode_ages(block)

    def with_failover(self, read: Callable[[], T]) -> T:
        """Run a read that continues at another database host if one fails; `session.read_with_failover` says how."""
        return read_with_failover(self._session, read)

    def encoded_by_id(self, user_ids: Sequence[str], fields: tuple[str, ...]) -> dict[str, bytes]:
        """Return users by user_id, encoded; `by_id.encoded_by_id` has arguments and errors."""
        return encoded_by_id(self._session, user_ids, fields)

    def boundary(self, scan: Scan, users: int) -> str | None:
        """Return the user_id of the scan's `users`-th user (from 1); None when it has fewer."""
        return self._key(boundary_query(self._session.dialect, scan, users=users))

    def last_key(self, scan: Scan) -> str | None:
        """Return the user_id of the scan's last user; None when it has none."""
        return self._key(last_key_query(self._session.dialect, scan))

    def refuse_changed_table(self, scan: Scan) -> None:
        """Raise an error if the table was altered so that the scan could not be whole."""
        refuse_changed_table(self._session, scan)

    def holds(self, after: str | None, user_id: str | None, up_to: str | None) -> bool:
        """Say whether a key range's bounds ascend and a key lies within, in the key's own order.

        Args:
            after: The range's lower bound (exclusive); None for none.
            user_id: The key; None for none.
            up_to: The range's upper bound (inclusive); None for none.
        """
        ((answer,),) = self._rows(ascending_query(self._session.dialect, after, user_id, up_to))
        return bool(answer == b"yes")

    def count(self, scan: Scan = _EVERYONE) -> int:
        """Count a scan's users exactly; the database reads the whole range for it."""
        ((count,),) = self._rows(count_query(self._session.dialect, scan))
        return int(count)

    def _one_by_one(self, scan: Scan) -> Generator[UserRow]:
        with closing(self._batches(scan, DecodeUsers(), self._sizes)) as batches:
            for batch in batches:
                yield from batch.users

    def _lists(self, scan: Scan, batch_size: int, sizes: ChunkSizes) -> Generator[list[UserRow]]:
        with closing(self._batches(scan, DecodeUsers(batch_size), sizes)) as batches:
            for batch in batches:
                yield batch.users

    def _batches(
        self, scan: Scan, reader: BatchReader[T], sizes: ChunkSizes
    ) -> Generator[UserBatch[T]]:
        """Yield a scan's batches, each released as soon as it is handed over."""
        pace = ChunkPace(sizes)
        with closing(self._chunks(scan, reader, pace)) as chunks:
            for chunk in chunks:
                began_at = monotonic()
                # A stalled consumer then holds only what it has not taken yet.
                batches = chunk.batches
                batches.reverse()
                while batches:
                    yield batches.pop()
                pace.consumed(chunk, monotonic() - began_at)

    def _chunks(self, scan: Scan, reader: BatchReader[T], pace: ChunkPace) -> Generator[Chunk[T]]:
        chunks = read_chunks(self._session, scan, reader, pace)
        return prefetch(chunks, pace, self._readers) if self._readers else chunks

    def _whole(self, reader: BatchReader[T], query: Query) -> list[UserBatch[T]]:
        return self.with_failover(lambda: list(reader.read(self._session, query)))

    def _key(self, query: Query) -> str | None:
        rows = self._rows(query)
        return checked_id(rows[0][0]) if rows else None

    def _rows(self, query: Query) -> list[Any]:
        return self.with_failover(lambda: [row for b in self._session.blocks(query) for row in b])
