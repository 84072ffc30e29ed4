"""Comparing users with what a database has stored."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from userstream_server.rows.types import UserRow

__all__ = ["by_key", "parts"]

T = TypeVar("T")


def by_key(user_ids: Collection[str], rows: Iterable[Sequence[bytes]]) -> dict[str, UserRow]:
    """Return stored rows as users, by the key that was asked for.

    A table with a collation of its own may store the same key in another spelling, such as upper case.

    Args:
        user_ids: The keys that were asked for.
        rows: user_id, name, email and age as the database sent them.
    """
    exact = set(user_ids)
    asked = {user_id.lower(): user_id for user_id in user_ids}
    users = {}
    for raw_id, name, email, age in rows:
        text = raw_id.decode()
        user_id = text if text in exact else asked.get(text.strip().lower(), text)
        users[user_id] = UserRow(user_id, name.decode(), email.decode(), int(age))
    return users


def parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of at most so many."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
