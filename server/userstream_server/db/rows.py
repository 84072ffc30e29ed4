"""What a row is on its way: raw bytes as the database sent them, or a decoded tuple."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

__all__ = ["DecodeUsers", "Packer", "RawAge", "RawRow", "UserRow", "decode_ages"]

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


T_co = TypeVar("T_co", covariant=True)


class Packer(Protocol[T_co]):
    """Decides how many rows go together, and what becomes of them while the next are still being read."""

    def rows(self) -> int:
        """Return how many rows the next pack shall have."""

    def __call__(self, rows: Sequence[RawRow]) -> T_co:
        """Make a pack of that many rows, fewer at the end of a chunk."""


class DecodeUsers:
    """Packs that are lists of decoded users.

    Args:
        pack_rows: Users in each.
    """

    def __init__(self, pack_rows: int = 1000) -> None:
        """See the class."""
        self._pack_rows = pack_rows

    def rows(self) -> int:
        """See `Packer.rows`."""
        return self._pack_rows

    def __call__(self, rows: Sequence[RawRow]) -> list[UserRow]:
        """Decode them."""
        return [
            UserRow(user_id.decode(), name.decode(), email.decode(), int(age))
            for user_id, name, email, age in rows
        ]


def decode_ages(rows: Sequence[RawAge]) -> list[int]:
    """Turn raw rows of the one column age into whole years."""
    return [int(age) for (age,) in rows]
