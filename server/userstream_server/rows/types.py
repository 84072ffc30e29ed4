"""What rows are on their way: raw bytes as the database sent them, encoded for the wire, or decoded tuples."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import NamedTuple

__all__ = ["EncodedUsers", "RawAge", "RawRow", "UserRow", "count_ages", "decode_ages"]

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


def count_ages(blocks: Generator[list[RawAge]]) -> Generator[Counter[int]]:
    """Count ages while they are read; yield the total once, at the end. Closes `blocks`."""
    # Counting raw one-column rows a block at a time costs a third of decoding each of them first.
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
