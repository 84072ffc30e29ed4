"""What rows are on their way: raw bytes as the database sent them, encoded for the wire, or decoded tuples."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from userstream_server.rows.session import Session
    from userstream_server.rows.sql import Query

__all__ = [
    "DecodeUsers",
    "EncodedUsers",
    "Packed",
    "Packer",
    "RawAge",
    "RawRow",
    "UserRow",
    "count_ages",
    "decode_ages",
]

RawRow = tuple[bytes, bytes, bytes, bytes]
"""(user_id, name, email, age): UTF-8 text, and age in decimal digits."""

RawAge = tuple[bytes]
"""(age,) in decimal digits."""


class UserRow(NamedTuple):
    """One user, decoded.

    Attributes:
        user_id: UUID text.
        name: Full name.
        email: E-mail address.
        age: Whole years.
    """

    user_id: str
    name: str
    email: str
    age: int


class EncodedUsers(NamedTuple):
    """Users that were read together, ready for the wire.

    Attributes:
        users: A field `users` for each, as `encoding` describes it.
        user_count: How many.
        user_ids: Their user_ids, one behind the other.
        last_user_id: The last of them.
    """

    users: bytes
    user_count: int
    user_ids: bytes
    last_user_id: bytes


T_co = TypeVar("T_co", covariant=True)


class Packed(NamedTuple, Generic[T_co]):
    """What became of some rows.

    Attributes:
        pack: That.
        rows: How many rows.
        last_user_id: The last one's user_id.
    """

    pack: T_co
    rows: int
    last_user_id: bytes


class Packer(Protocol[T_co]):
    """Decides how many rows go together, and what becomes of them while the next are still being read."""

    def read(self, session: "Session", query: "Query") -> Generator[Packed[T_co]]:
        """Run a query for users and yield its rows, packed; whoever stops early closes the generator.

        Raises:
            UserStreamError: From the session.
        """


class DecodeUsers:
    """Packs that are lists of decoded users.

    Args:
        pack_rows: Users in each, fewer only in a query's last.
    """

    def __init__(self, pack_rows: int = 1000) -> None:
        """See the class."""
        self._pack_rows = pack_rows

    def read(self, session: "Session", query: "Query") -> Generator[Packed[list[UserRow]]]:
        """See `Packer.read`."""
        with closing(session.blocks(query, lambda: self._pack_rows)) as blocks:
            for block in blocks:
                yield Packed(_decode_users(block), len(block), block[-1][0])


def _decode_users(rows: Sequence[RawRow]) -> list[UserRow]:
    return [
        UserRow(user_id.decode(), name.decode(), email.decode(), int(age))
        for user_id, name, email, age in rows
    ]


def count_ages(blocks: Generator[list[RawAge]]) -> Generator[Counter[int]]:
    """Count ages while they are read; yield all at the end, and close what they are read from."""
    # Counting raw one-column rows, a block at a time, costs a third of decoding each of them first.
    raw: Counter[RawAge] = Counter()
    with closing(blocks):
        for block in blocks:
            raw.update(block)
    ages: Counter[int] = Counter()
    for (digits,), number in raw.items():
        ages[int(digits)] += number
    yield ages


def decode_ages(rows: Sequence[RawAge]) -> list[int]:
    """Turn raw rows of the one column age into whole years."""
    return [int(age) for (age,) in rows]
