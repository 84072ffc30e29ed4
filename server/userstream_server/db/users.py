"""The four generators over `user_data`, the same over MySQL and SQLite.

    users = Users(session)
    for user in users.stream_users(): ...
    for batch in users.batch_processing(batch_size=50): ...
    for page in users.lazy_paginate(page_size=100): ...
    average = sum(users.stream_user_ages()) / ...

All read in ascending order of user_id and keep one chunk in memory, never the table. `convert` says
what a user is on its way out: a decoded `UserRow` unless the caller wants the bytes for the wire.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from userstream_server.db.chunks import ChunkSizes, Convert, read_chunk, read_chunks
from userstream_server.db.database import Session
from userstream_server.db.rows import decode_ages, decode_users
from userstream_server.db.scan import Scan, UserFilter
from userstream_server.db.sql import ages_query, boundary_query, count_query, last_key_query

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
        has_more: Whether another user follows.
        last_key: The last user's user_id; None on an empty page.
    """

    users: list[T]
    has_more: bool
    last_key: str | None


class Users:
    """The generators, within one session.

    Args:
        session: Where to read.
        sizes: How many rows to read at once.
    """

    def __init__(self, session: Session, sizes: ChunkSizes = _DEFAULT_SIZES) -> None:
        """See the class."""
        self._session = session
        self._sizes = sizes

    def stream_users(
        self, scan: Scan = _EVERYONE, *, convert: Convert[Any] = decode_users
    ) -> Generator[Any]:
        """Yield a scan's users one by one.

        Args:
            scan: Which users.
            convert: What to make of raw rows; `decode_users` gives `UserRow`s.

        Raises:
            UserStreamError: The database is away, the deadline over, the call cancelled.
        """
        with closing(read_chunks(self._session, scan, convert, self._sizes)) as chunks:
            for chunk in chunks:
                yield from chunk

    def batch_processing(
        self, batch_size: int, scan: Scan = _OVER_25, *, convert: Convert[Any] = decode_users
    ) -> Generator[list[Any]]:
        """Yield lists of exactly `batch_size` users, fewer only in the last; users over 25 unless `scan` differs."""
        # A chunk of whole batches, so that no batch waits for a second query.
        sizes = replace(self._sizes, first_rows=batch_size)
        batch: list[Any] = []
        with closing(read_chunks(self._session, scan, convert, sizes)) as chunks:
            for chunk in chunks:
                start = 0
                while len(batch) + len(chunk) - start >= batch_size:
                    end = start + batch_size - len(batch)
                    yield batch + chunk[start:end]
                    batch, start = [], end
                batch += chunk[start:]
        if batch:
            yield batch

    def lazy_paginate(
        self,
        page_size: int,
        scan: Scan = _EVERYONE,
        *,
        offset: int = 0,
        convert: Convert[Any] = decode_users,
    ) -> Generator[Page[Any]]:
        """Yield pages, each read only when it is asked for; none when no user matches.

        Args:
            page_size: Users a page.
            scan: Which users; its limit is not used.
            offset: Skip this many users first (LIMIT/OFFSET; its cost grows with it).
            convert: What to make of raw rows.
        """
        while True:
            # One row more than the page tells whether another page follows, without a query for it.
            keys: list[bytes] = []
            users, _ = read_chunk(
                self._session, scan, _remembering_keys(convert, keys), page_size + 1, offset=offset
            )
            if not users:
                return
            has_more = len(users) > page_size
            last_key = keys[:page_size][-1].decode("ascii")
            yield Page(users[:page_size], has_more, last_key)
            if not has_more:
                return
            scan, offset = scan.beginning_after(last_key), 0

    def stream_user_ages(
        self,
        scan: Scan = _EVERYONE,
        *,
        convert: Callable[[Sequence[Any]], Sequence[Any]] = decode_ages,
    ) -> Generator[Any]:
        """Yield the ages of a scan's users, in no order; only that column travels.

        One query, one connection until its end: meant for a consumer that only counts and never stalls.
        """
        with closing(self._session.blocks(ages_query(self._session.dialect, scan))) as blocks:
            for block in blocks:
                yield from convert(block)

    def boundary(self, scan: Scan, users: int) -> str | None:
        """Return the user_id of the scan's `users`-th user (from 1); None when it has fewer."""
        return self._text(boundary_query(self._session.dialect, scan, users=users))

    def last_key(self, scan: Scan) -> str | None:
        """Return the user_id of the scan's last user; None when it has none."""
        return self._text(last_key_query(self._session.dialect, scan))

    def count(self, scan: Scan = _EVERYONE) -> int:
        """Count a scan's users exactly; the database reads the whole range for it."""
        return int(self._text(count_query(self._session.dialect, scan)) or 0)

    def estimate(self, scan: Scan) -> int:
        """Estimate a scan's users without reading them."""
        rows = self._session.estimate(ages_query(self._session.dialect, scan))
        return rows if scan.limit is None else min(rows, scan.limit)

    def _text(self, query: Any) -> str | None:
        rows = [row for block in self._session.blocks(query) for row in block]
        return rows[0][0].decode("ascii") if rows else None


def _remembering_keys(convert: Convert[T], keys: list[bytes]) -> Convert[T]:
    """Wrap a conversion so that it also notes the rows' keys."""

    def convert_and_note(rows: Sequence[Any]) -> list[T]:
        keys.extend(row[0] for row in rows)
        return convert(rows)

    return convert_and_note
