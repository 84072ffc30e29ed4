"""Which users differ between a file and the table, whatever their order and number.

Both sides go into a temporary SQLite database on disk, so that memory stays flat and the key's collation
does not matter. It is made only when a difference is known to exist.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple, Self

from userstream_client.cli.verify.findings import shown_id
from userstream_client.models import User

__all__ = ["Differences"]

# Names and e-mails are kept as hashes: enough to say that they differ.
_TABLES = """
    CREATE TABLE in_file (position INTEGER PRIMARY KEY, user_id TEXT, name INTEGER, email INTEGER, age INTEGER);
    CREATE TABLE in_table (position INTEGER PRIMARY KEY, user_id TEXT, name INTEGER, email INTEGER, age INTEGER);
"""
_INDEXES = """
    CREATE INDEX ids_in_file ON in_file (user_id, position);
    CREATE INDEX ids_in_table ON in_table (user_id, position);
"""
_ADD_TO_FILE = "INSERT INTO in_file (user_id, name, email, age) VALUES (?, ?, ?, ?)"
_ADD_TO_TABLE = "INSERT INTO in_table (user_id, name, email, age) VALUES (?, ?, ?, ?)"
_COPY = "INSERT INTO in_table SELECT * FROM in_file WHERE position <= ?"

# Each returns the first user of its kind, and how many there are.
_MISSING = """
    SELECT user_id, count(*) OVER () FROM in_table AS this
    WHERE NOT EXISTS (SELECT 1 FROM in_file AS other WHERE other.user_id = this.user_id)
    ORDER BY position LIMIT 1
"""
_EXTRA = """
    SELECT user_id, count(*) OVER () FROM in_file AS this
    WHERE NOT EXISTS (SELECT 1 FROM in_table AS other WHERE other.user_id = this.user_id)
    ORDER BY position LIMIT 1
"""
_DOUBLED = """
    SELECT user_id, count(*) OVER () FROM in_file AS this
    WHERE EXISTS (
        SELECT 1 FROM in_file AS other WHERE other.user_id = this.user_id AND other.position < this.position
    )
    ORDER BY position LIMIT 1
"""
_CHANGED = """
    SELECT this.user_id, count(*) OVER (), this.name <> other.name, this.email <> other.email, this.age <> other.age
    FROM in_file AS this JOIN in_table AS other ON other.user_id = this.user_id
    WHERE this.name <> other.name OR this.email <> other.email OR this.age <> other.age
    ORDER BY this.position LIMIT 1
"""
_MOVED = """
    SELECT user_id, count(*) OVER () FROM (
        SELECT this.user_id, this.position, other.position AS place,
            lag(other.position) OVER (ORDER BY this.position) AS place_before
        FROM in_file AS this JOIN in_table AS other ON other.user_id = this.user_id
    )
    WHERE place < place_before ORDER BY position LIMIT 1
"""
_SIMPLE = {"missing": _MISSING, "extra": _EXTRA, "doubled": _DOUBLED, "out of order": _MOVED}


class _Row(NamedTuple):
    user_id: str
    name: int
    email: int
    age: int


class Differences:
    """The users of both sides; a context manager, whose end removes the database.

    Raises:
        sqlite3.Error: Anywhere; above all when the temporary folder is full.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # SQLite's name for a temporary file
        self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add_file(self, users: Iterable[User]) -> None:
        """Add the file's next users."""
        self._database.executemany(_ADD_TO_FILE, _hashed(users))

    def add_table(self, users: Iterable[User]) -> None:
        """Add the table's next users."""
        self._database.executemany(_ADD_TO_TABLE, _hashed(users))

    def add_same(self, count: int) -> None:
        """Add the file's first users to the table's side, which are known to be equal."""
        self._database.execute(_COPY, (count,))

    def found(self) -> Iterator[str]:
        """Yield a line for each kind of difference, with its number and its first user."""
        self._database.executescript(_INDEXES)
        for kind, query in _SIMPLE.items():
            if first := self._first(query):
                yield f"{kind}: {first[1]:,}, first {shown_id(first[0])}"
        if first := self._first(_CHANGED):
            user_id, count, *differ = first
            columns = [c for c, differs in zip(User._fields[1:], differ, strict=True) if differs]
            yield f"changed: {count:,}, first {shown_id(user_id)} ({', '.join(columns)})"

    def _first(self, query: str) -> tuple[str, int, *tuple[int, ...]] | None:
        with closing(self._database.execute(query)) as rows:
            return rows.fetchone()  # type: ignore[no-any-return]


def _hashed(users: Iterable[User]) -> Iterator[_Row]:
    return (
        _Row(user_id, hash(name), hash(email), hash(age)) for user_id, name, email, age in users
    )
