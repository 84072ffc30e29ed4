"""Batches: the users of one message, page or list, made while the rows are still being read.

Every reader runs one query and yields `UserBatch`es. `DecodeUsers` makes lists of `UserRow`s for
Python callers; `EncodeUsers` makes protobuf bytes for the wire, in sizes that a policy chooses.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Generic, NamedTuple, Protocol, TypeVar
from zlib import crc32

from userstream_server.rows.fields import widened
from userstream_server.rows.row_check import check_rows
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import RawRow, UserRow

__all__ = [
    "BatchReader",
    "DecodeUsers",
    "EncodeUsers",
    "ExactSize",
    "GrowingSize",
    "SizePolicy",
    "UserBatch",
]

T_co = TypeVar("T_co", covariant=True)
_GROWTH = 2
_LEAST_USER_BYTES = 70
"""A message holds no more users than would fit if each took this much; most take more.

The size of a message is chosen before its rows are read. Behind short users there may be long ones, of up to 2,100
bytes in columns of 255 characters: 1,872 of them stay below 4 MiB, which gRPC clients accept unless told otherwise.
"""


class UserBatch(NamedTuple, Generic[T_co]):
    """Users that go out together.

    Attributes:
        users: A list of `UserRow`s, or the encoded `users` fields of a message.
        user_count: How many users.
        last_user_id: The last one's user_id.
        user_id_crc32: CRC-32 over the user_ids of this batch and all before it; 0 if not computed.
        ends_chunk: Whether this is the last batch of its chunk, so that the next one needs a query.
    """

    users: T_co
    user_count: int
    last_user_id: bytes
    user_id_crc32: int = 0
    ends_chunk: bool = False


class BatchReader(Protocol[T_co]):
    """Decides how many rows make a batch and what the batch holds."""

    def read(self, session: Session, query: Query) -> Generator[UserBatch[T_co]]:
        """Run a query for users and yield its rows in batches.

        A caller that stops early must close the generator.

        Raises:
            UserStreamError: From the session.
        """


class SizePolicy(Protocol):
    """Chooses how many users the next batch holds."""

    def next_users(self) -> int:
        """Return the next batch's number of users; only a query's last batch has fewer."""

    def adapt(self, batch: UserBatch[bytes]) -> None:
        """Learn from a batch that was made."""


class ExactSize:
    """Always the same number of users.

    Args:
        users: Users in each batch, at least 1.
    """

    def __init__(self, users: int) -> None:
        self._users = users

    def next_users(self) -> int:
        """Return the fixed number."""
        return self._users

    def adapt(self, batch: UserBatch[bytes]) -> None:
        """Ignore the batch."""


class GrowingSize:
    """One user first, so that the first message leaves at once, then twice as many each time.

    A message costs about as much as encoding a hundred users, whatever it holds, so large messages
    are cheap per user.

    Args:
        message_bytes: About how large a message may grow.
        max_users: The most users per message; 0 for as many as fit.
    """

    def __init__(self, *, message_bytes: int, max_users: int) -> None:
        self._users = 1
        self._message_bytes = message_bytes
        most = message_bytes // _LEAST_USER_BYTES
        self._max_users = min(max_users or most, most)

    def next_users(self) -> int:
        """Return the next size."""
        return self._users

    def adapt(self, batch: UserBatch[bytes]) -> None:
        """Double the size, up to the limits, judging by this batch's bytes per user."""
        fitting = self._message_bytes * batch.user_count // len(batch.users)
        self._users = max(1, min(self._users * _GROWTH, fitting, self._max_users))


class EncodeUsers:
    """Makes batches of encoded users with a CRC-32 that runs through all of them.

    Args:
        size: How many users each batch holds.
        crc: The CRC-32 of the user_ids before the first batch. It moves on with each query that was read to its end.
    """

    def __init__(self, size: SizePolicy, crc: int = 0) -> None:
        self._size = size
        self._crc = crc

    def read(self, session: Session, query: Query) -> Generator[UserBatch[bytes]]:
        """Run a query and yield encoded batches; see `BatchReader.read`."""
        size, crc = self._size, self._crc
        with closing(session.encoded(query, size.next_users)) as blocks:
            for users, user_count, user_ids, last_user_id in blocks:
                crc = crc32(user_ids, crc)
                batch = UserBatch(users, user_count, last_user_id, crc)
                size.adapt(batch)
                yield batch
        # A query that failed may be run again.
        self._crc = crc


class DecodeUsers:
    """Makes batches that are lists of decoded users.

    Args:
        batch_rows: Users in each list; only a query's last list has fewer.
    """

    def __init__(self, batch_rows: int = 1000) -> None:
        self._batch_rows = batch_rows

    def read(self, session: Session, query: Query) -> Generator[UserBatch[list[UserRow]]]:
        """Run a query and yield lists of users; see `BatchReader.read`."""
        with closing(session.blocks(query, lambda: self._batch_rows)) as blocks:
            for block in blocks:
                rows = widened(block, query.fields)
                check_rows(rows)
                yield UserBatch(_decode_users(rows), len(rows), rows[-1][0])


def _decode_users(rows: Sequence[RawRow]) -> list[UserRow]:
    return [
        UserRow(user_id.decode(), name.decode(), email.decode(), int(age))
        for user_id, name, email, age in rows
    ]
