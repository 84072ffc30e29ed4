"""What a row is on its way: raw bytes as the database sent them, or a decoded tuple."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["RawRow", "UserRow", "decode_ages", "decode_users"]

RawRow = tuple[bytes, bytes, bytes, bytes]
"""(user_id, name, email, age): UTF-8 text, and age in decimal digits."""


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


def decode_users(rows: Sequence[RawRow]) -> list[UserRow]:
    """Turn raw rows into decoded ones."""
    return [
        UserRow(user_id.decode(), name.decode(), email.decode(), int(age))
        for user_id, name, email, age in rows
    ]


def decode_ages(rows: Sequence[tuple[bytes]]) -> list[int]:
    """Turn raw rows of the one column age into whole years."""
    return [int(age) for (age,) in rows]
