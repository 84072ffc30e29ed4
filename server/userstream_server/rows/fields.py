"""Which fields of a user are read, and rows that hold only some of them."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import cast

from userstream_server.rows.types import RawRow, UserRow

__all__ = ["ALL_FIELDS", "in_order", "widened"]

ALL_FIELDS = UserRow._fields
"""The names of a user's fields, which are those of the table's columns, in the order in which they are read."""
_UNREAD = (b"", b"0")
"""An unread text, and an unread age: proto3 leaves both values out of a message."""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return those fields that are named, in the order in which they are read; user_id is always among them."""
    wanted = {ALL_FIELDS[0], *names}
    return tuple(name for name in ALL_FIELDS if name in wanted)


def widened(rows: Sequence[Sequence[bytes]], fields: tuple[str, ...]) -> Sequence[RawRow]:
    """Return rows with all four columns; those that were not read hold nothing.

    Args:
        rows: Rows with the columns of `fields`.
        fields: Which columns were read, in order.
    """
    if fields == ALL_FIELDS:
        return cast("Sequence[RawRow]", rows)
    unread = {name: len(fields) + (name == "age") for name in ALL_FIELDS}
    places = [fields.index(name) if name in fields else unread[name] for name in ALL_FIELDS]
    pick = itemgetter(*places)
    return [pick((*row, *_UNREAD)) for row in rows]
