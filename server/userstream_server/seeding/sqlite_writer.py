"""Storing users in the embedded database."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from userstream_server.databases.sqlite import translated
from userstream_server.databases.table_check import SQLITE_TABLE, check_shape, columns_of
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.table_queries import SQLITE_COLUMNS
from userstream_server.rows.types import UserRow
from userstream_server.seeding.batches import BatchOutcome, Inserted, store_batch
from userstream_server.seeding.schema import schema
from userstream_server.seeding.stored_users import by_key, parts

__all__ = ["sqlite_writer"]

_LOCK_WAIT_SECONDS = 60.0
"""How long to wait for another writer: SQLite has one at a time."""
_KEYS_PER_SELECT = 500
_INSERT = (
    "INSERT INTO user_data (user_id, name, email, age) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_UPDATE = "UPDATE user_data SET name = ?, email = ?, age = ? WHERE user_id = ?"
_SELECT = "SELECT user_id, name, email, CAST(age AS TEXT) FROM user_data WHERE user_id IN "


@contextmanager
def sqlite_writer(url: DatabaseUrl, *, update: bool) -> Iterator["_SQLiteWriter"]:
    """Open a file for seeding, creating it where it is missing. Raises UserStreamError."""
    assert url.path is not None, "a SQLite URL has a path"  # noqa: S101
    if not url.path.parent.is_dir():
        raise PreconditionError(
            "DATABASE_FILE",
            "The folder of the SQLite file in USERSTREAM_DATABASE_URL does not exist. Make it first.",
        )
    try:
        # One thread at a time uses it, though not always the same.
        connection = sqlite3.connect(url.path, timeout=_LOCK_WAIT_SECONDS, check_same_thread=False)
        try:
            yield _SQLiteWriter(connection, update=update)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translated(error) from error


class _SQLiteWriter:
    """A `writers.Writer`, and the `batches.Table` that it writes to."""

    def __init__(self, connection: sqlite3.Connection, *, update: bool) -> None:
        self._connection = connection
        self._replace = update
        connection.text_factory = bytes
        connection.execute(schema("schema_sqlite.sql"))
        check_shape(columns_of(connection.execute(SQLITE_COLUMNS.text)), SQLITE_TABLE)

    def add(self, users: Sequence[UserRow]) -> BatchOutcome:
        """Store users in one transaction."""
        with self._connection:
            return store_batch(self, users, update=self._replace)

    def finish(self) -> None:
        """Bring the statistics up to date."""
        self._connection.execute("ANALYZE")
        self._connection.commit()

    def insert(self, users: Sequence[UserRow]) -> Inserted:
        """Add users, leaving out those that a unique key forbids."""
        before = self._connection.total_changes
        self._connection.executemany(_INSERT, users)
        new = self._connection.total_changes - before
        return Inserted(new, [] if new == len(users) else list(users))

    def known(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return the users stored under these keys."""
        return self.stored(user_ids)

    def stored(self, user_ids: Collection[str]) -> dict[str, UserRow]:
        """Return the users stored under these keys."""
        rows: list[tuple[bytes, ...]] = []
        for some in parts(sorted(user_ids), _KEYS_PER_SELECT):
            marks = ",".join("?" * len(some))
            rows += self._connection.execute(f"{_SELECT}({marks})", some).fetchall()
        return by_key(user_ids, rows)

    def update(self, users: Sequence[UserRow]) -> list[UserRow]:
        """Replace the values of stored users; return those that a unique key forbids."""
        return [user for user in users if not self._update(user)]

    def _update(self, user: UserRow) -> bool:
        user_id, *values = user
        try:
            return self._connection.execute(_UPDATE, (*values, user_id)).rowcount == 1
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise
            return False
