"""What key ranges hold, without reading their rows: estimates, and the keys at either end."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from userstream_server.rows.row_check import checked_id
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rows.sql import ends_query, range_query, some_keys_query

__all__ = ["KeyRange", "KeyRanges"]

T = TypeVar("T")

KeyRange = tuple[str, str]
"""Above the first key, up to and with the second."""
_AT_ONCE = 32
"""Ranges asked for in one query."""


class KeyRanges:
    """Asks about key ranges within one session.

    Args:
        session: Where to ask.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def some_keys(self) -> list[str]:
        """Return a few keys from either end of the table, ascending in the key's order; none of an empty table."""
        dialect, found = self._session.dialect, list[str]()
        for last in (False, True):
            query = some_keys_query(dialect, last=last)
            keys = [checked_id(row[0]) for block in self._session.blocks(query) for row in block]
            found += reversed(keys) if last else keys
        return found

    def estimates(self, ranges: Sequence[KeyRange]) -> list[float]:
        """Estimate how many rows each range holds."""
        dialect, found = self._session.dialect, list[float]()
        for some in _parts(ranges):
            queries = [
                range_query(dialect, Scan(after=after, up_to=up_to)) for after, up_to in some
            ]
            found += self._session.estimates(queries)
        return found

    def ends(self, ranges: Sequence[KeyRange]) -> list[KeyRange | None]:
        """Return the first and the last key of each range; None of an empty one."""
        found: dict[int, KeyRange] = {}
        for some in _parts([*enumerate(ranges)]):
            query = ends_query(self._session.dialect, some)
            for block in self._session.blocks(query):
                found |= {
                    int(number): (first.decode(), last.decode())
                    for number, first, last in block
                    if first is not None and last is not None
                }
        return [found.get(number) for number in range(len(ranges))]


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
