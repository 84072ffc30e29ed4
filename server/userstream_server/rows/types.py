"""What rows are on their way: raw bytes as the database sent them, encoded for the wire, or decoded tuples."""

from typing import NamedTuple

__all__ = ["EncodedUsers", "RawAge", "RawRow", "UserRow"]

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
    """Users that a session read in one step, encoded for the wire.

    Attributes:
        users: One protobuf field `users` per user; `encoding` describes the format.
        user_count: How many users.
        user_ids: Their user_ids, concatenated.
        last_user_id: The last of them.
    """

    users: bytes
    user_count: int
    user_ids: bytes
    last_user_id: bytes
