"""Writing users, for seeding alone: the one place with SQL that changes anything."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.table_check import Column, check_shape, columns_of
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError
from userstream_server.rows.sql import MYSQL_COLUMNS, SQLITE_COLUMNS
from userstream_server.rows.types import UserRow

__all__ = ["Writer", "open_writer"]

_STATEMENT_ROWS = 2000
"""Users in one INSERT: a few hundred kilobytes for usual ones."""
_STATEMENT_BYTES = 900_000
"""An INSERT that is longer is split: some servers have a max_allowed_packet of 1 MiB."""
_FIND_DATABASE = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
# Keeps what is there, and unlike INSERT IGNORE still refuses what does not fit.
_INSERT = "INSERT INTO user_data (user_id, name, email, age) VALUES "
_KEEP = " ON DUPLICATE KEY UPDATE user_id = user_data.user_id"


class Writer(Protocol):
    """Adds users in transactions."""

    def add(self, users: Sequence[UserRow]) -> int:
        """Add users in one transaction, leaving those whose user_id is there; return how many were new."""

    def finish(self) -> None:
        """Bring the database's statistics up to date."""


@contextmanager
def open_writer(url: DatabaseUrl) -> Iterator[Writer]:
    """Open a database for seeding, creating it and its table where they are missing.

    Raises:
        UserStreamError: The database does not answer or refuses; see its message.
    """
    if url.engine == "sqlite":
        assert url.path is not None, "a SQLite URL has a path"  # noqa: S101
        with _sqlite_writer(url.path) as writer:
            yield writer
        return
    # Imported late: the embedded database needs no driver.
    from userstream_server.databases.mysql.connecting import (  # noqa: PLC0415
        DRIVER_ERRORS,
        connect_any,
    )
    from userstream_server.databases.mysql.errors import translate  # noqa: PLC0415

    connection, _ = connect_any(DatabaseOptions(url), tuple(url.hosts), writing=True)
    try:
        yield _MySQLWriter(connection, url.database)
    except DRIVER_ERRORS as error:
        raise translate(getattr(error, "errno", None)) from error
    finally:
        with suppress(*DRIVER_ERRORS):
            connection.close()


class _MySQLWriter:
    """Multi-row INSERTs over the driver."""

    def __init__(self, connection: Any, database: str) -> None:
        self._connection = connection
        quoted = "`" + database.replace("`", "``") + "`"
        # What is there is not created again: that takes rights which adding users does not.
        if not self._rows(_FIND_DATABASE, (database,)):
            self._run(f"CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET utf8mb4")
        self._run(f"USE {quoted}")
        if not self._columns():
            self._run(_schema("schema.sql"))
        # Without its key, seeding twice would add everyone twice.
        check_shape(self._columns())

    def add(self, users: Sequence[UserRow]) -> int:
        """See `Writer.add`."""
        # In key order, neighbours land in the same page of the clustered index. The sort is stable: of
        # two users with one key the first stays.
        rows = sorted(users, key=itemgetter(0))
        try:
            new = sum(self._insert(part) for part in _parts(rows, _STATEMENT_ROWS))
            self._connection.commit()
        except BaseException:
            with suppress(Exception):
                self._connection.rollback()
            raise
        return new

    def finish(self) -> None:
        """See `Writer.finish`."""
        self._rows("ANALYZE TABLE user_data")

    def _insert(self, rows: Sequence[UserRow]) -> int:
        text = (_INSERT + ",".join(map(_literal, rows)) + _KEEP).encode()
        if len(text) > _STATEMENT_BYTES and len(rows) > 1:
            return sum(map(self._insert, _parts(rows, (len(rows) + 1) // 2)))
        return self._run(text)

    def _run(self, text: str | bytes) -> int:
        return int(self._connection.cmd_query(text).get("affected_rows", 0))

    def _columns(self) -> list[Column]:
        return columns_of(self._rows(MYSQL_COLUMNS.text))

    def _rows(self, text: str, parameters: tuple[str, ...] = ()) -> list[Any]:
        with self._connection.cursor(raw=True) as cursor:
            cursor.execute(text, parameters)
            return list(cursor.fetchall())


@contextmanager
def _sqlite_writer(path: Path) -> Iterator[Writer]:
    from userstream_server.databases.sqlite import translated  # noqa: PLC0415

    if not path.parent.is_dir():
        raise PreconditionError(
            "DATABASE_FILE",
            "The folder of the SQLite file in USERSTREAM_DATABASE_URL does not exist. Make it first.",
        )
    try:
        # One thread at a time uses it, though not always the same.
        connection = sqlite3.connect(path, check_same_thread=False)
        try:
            yield _SQLiteWriter(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translated(error) from error


class _SQLiteWriter:
    """The same for the embedded database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.text_factory = bytes
        connection.execute(_schema("schema_sqlite.sql"))
        check_shape(columns_of(connection.execute(SQLITE_COLUMNS.text)))

    def add(self, users: Sequence[UserRow]) -> int:
        """See `Writer.add`."""
        with self._connection:
            before = self._connection.total_changes
            self._connection.executemany(f"{_INSERT}(?, ?, ?, ?) ON CONFLICT DO NOTHING", users)
            return self._connection.total_changes - before

    def finish(self) -> None:
        """See `Writer.finish`."""
        self._connection.execute("ANALYZE")
        self._connection.commit()


def _literal(user: UserRow) -> str:
    """Return one row of VALUES.

    The connection's sql_mode is set by us, so a backslash escapes and doubling a quote is enough; the driver's own
    substitution, a regular expression per value, would take most of the time of seeding.
    """
    user_id, name, email, age = user
    return f"('{_escape(user_id)}','{_escape(name)}','{_escape(email)}',{age:d})"


def _parts(rows: Sequence[UserRow], size: int) -> Iterator[Sequence[UserRow]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _schema(name: str) -> str:
    return files("userstream_server.seeding").joinpath(name).read_text(encoding="utf-8")
