"""What a test does to the database behind the service's back."""

from contextlib import closing
from typing import Any

import mysql.connector
from userstream_server.databases.database import Database
from userstream_server.databases.open import open_database
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl

__all__ = ["admin_connection", "execute", "open_url"]


def admin_connection(url: str) -> Any:
    """Connect to MySQL with the account that may do everything; to the URL's database if it has one."""
    parsed = DatabaseUrl.parse(url)
    ((host, port),) = parsed.hosts
    named = url.count("/") > 2
    return mysql.connector.connect(
        host=host,
        port=port,
        user=parsed.user,
        password=parsed.password,
        database=parsed.database if named else None,
        autocommit=True,
    )


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements on MySQL or SQLite; return the last one's rows."""
    parsed = DatabaseUrl.parse(url)
    if parsed.engine == "sqlite":
        import sqlite3

        assert parsed.path is not None
        with closing(sqlite3.connect(parsed.path)) as connection, connection:
            rows = [connection.execute(statement).fetchall() for statement in statements]
            return rows[-1]
    with closing(admin_connection(url)) as connection, connection.cursor() as cursor:
        rows = []
        for statement in statements:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.with_rows else []
        return list(rows)


def open_url(url: str, **options: Any) -> Database:
    """Open a URL as the server does, with options such as `pool_size`."""
    return open_database(DatabaseOptions(DatabaseUrl.parse(url), **options))
