"""Seeding writes by column name, whatever order the table has them in."""

import sqlite3
from contextlib import closing
from pathlib import Path

from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.writers import open_writer

USER = UserRow("0b0e0a36-5d6c-4a4f-8f0e-0123456789ab", "Ada", "ada@example.com", 36)


def test_another_column_order(tmp_path: Path) -> None:
    """A table with its columns in another order gets each value in its own column."""
    path = tmp_path / "users.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE user_data (email TEXT NOT NULL, name TEXT NOT NULL,"
            " user_id TEXT NOT NULL PRIMARY KEY, age INTEGER NOT NULL)"
        )
    with open_writer(DatabaseUrl.parse(f"sqlite:///{path}")) as writer:
        writer.add([USER])
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("SELECT user_id, name, email, age FROM user_data").fetchall()

    assert [tuple(USER)] == stored
