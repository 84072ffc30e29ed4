"""The driver's own cursor over all users, which the contestants in Python share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mysql.connector
from userstream_server.databases.url import DatabaseUrl

__all__ = ["users_cursor"]

_SELECT = "SELECT user_id, name, email, age FROM user_data ORDER BY user_id"


@contextmanager
def users_cursor(url: DatabaseUrl, limit: int = 0, *, raw: bool = False) -> Iterator[Any]:
    """Run the query on a connection of its own.

    Args:
        url: The database.
        limit: The most users; 0 for all.
        raw: Whether values come as the bytes that MySQL sent.
    """
    host, port = url.hosts[0]
    connection = mysql.connector.connect(
        host=host,
        port=port,
        user=url.user,
        password=url.password,
        database=url.database,
        ssl_disabled=True,
    )
    try:
        with connection.cursor(raw=raw) as cursor:
            cursor.execute(f"{_SELECT} LIMIT {limit}" if limit else _SELECT)
            yield cursor
    finally:
        connection.close()
