"""Writing users, for seeding alone: the one place with SQL that changes anything."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from userstream_server.db.rows import UserRow
from userstream_server.db.url import DatabaseUrl

__all__ = ["Writer", "open_writer"]

_STATEMENT_ROWS = 2000
"""Users in one INSERT: a few hundred kilobytes, well below any max_allowed_packet."""
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
    from userstream_server.db.mysql_connect import (  # noqa: PLC0415
        DRIVER_ERRORS,
        MySQLOptions,
        connect_any,
    )
    from userstream_server.db.mysql_errors import translate  # noqa: PLC0415

    connection, _ = connect_any(MySQLOptions(url), tuple(url.hosts), writing=True)
    try:
        yield _MySQLWriter(connection, url.database)
    except DRIVER_ERRORS as error:
        raise translate(getattr(error, "errno", None)) from error
    finally:
        with suppress(*DRIVER_ERRORS):
            connection.close()


class _MySQLWriter:
    """Multi-row INSERTs over the driver."""

    def __init__(self, connection: object, database: str) -> None:
        self._connection = connection
        quoted = "`" + database.replace("`", "``") + "`"
        self._run(f"CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET utf8mb4")
        self._run(f"USE {quoted}")
        self._run(_schema("schema.sql"))

    def add(self, users: Sequence[UserRow]) -> int:
        """See `Writer.add`."""
        # In key order, neighbours land in the same page of the clustered index.
        rows = sorted(users)
        new = 0
        for start in range(0, len(rows), _STATEMENT_ROWS):
            values = ",".join(map(_literal, rows[start : start + _STATEMENT_ROWS]))
            new += self._run(_INSERT + values + _KEEP)
        self._connection.commit()  # type: ignore[attr-defined]  # the driver ships no types
        return new

    def finish(self) -> None:
        """See `Writer.finish`."""
        with self._connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("ANALYZE TABLE user_data")
            cursor.fetchall()

    def _run(self, text: str) -> int:
        result = self._connection.cmd_query(text)  # type: ignore[attr-defined]
        return int(result.get("affected_rows", 0))


@contextmanager
def _sqlite_writer(path: Path) -> Iterator[Writer]:
    from userstream_server.db.sqlite import translated  # noqa: PLC0415

    try:
        connection = sqlite3.connect(path)
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
        connection.execute(_schema("schema_sqlite.sql"))

    def add(self, users: Sequence[UserRow]) -> int:
        """See `Writer.add`."""
        with self._connection:
            before = self._connection.total_changes
            self._connection.executemany(
                "INSERT INTO user_data VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", users
            )
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


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _schema(name: str) -> str:
    return files("userstream_server.db").joinpath(name).read_text(encoding="utf-8")
