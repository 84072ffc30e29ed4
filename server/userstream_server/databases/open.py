"""From an address and a few limits to the one database they name."""

from dataclasses import dataclass

from userstream_server.databases.database import Database
from userstream_server.databases.url import DatabaseUrl

__all__ = ["DatabaseOptions", "open_database"]


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How to reach a database and how much of it to use.

    Attributes:
        url: Its address.
        pool_size: The most connections for queries.
        pool_wait_seconds: How long a query waits for a free connection.
        snapshot_views: The most snapshots at once.
        connect_timeout_seconds: The limit for connecting to one host.
        query_timeout_seconds: The longest a query may take.
        net_write_timeout_seconds: How long MySQL keeps a result that is not read.
        native_rows: Fetch and encode users in C where that part was built.
    """

    url: DatabaseUrl
    pool_size: int
    pool_wait_seconds: float
    snapshot_views: int
    connect_timeout_seconds: float
    query_timeout_seconds: float
    net_write_timeout_seconds: int
    native_rows: bool


def open_database(options: DatabaseOptions) -> Database:
    """Return the database that the options name; nothing connects yet."""
    url = options.url
    if url.engine == "sqlite":
        from userstream_server.databases.sqlite import SQLiteDatabase  # noqa: PLC0415

        assert url.path is not None, "a SQLite URL has a path"  # noqa: S101
        return SQLiteDatabase(
            url.path,
            pool_size=options.pool_size,
            pool_wait_seconds=options.pool_wait_seconds,
            query_timeout_seconds=options.query_timeout_seconds,
            snapshot_views=options.snapshot_views,
        )
    # Imported late: the embedded database needs no driver.
    from userstream_server.databases.mysql.connecting import MySQLOptions  # noqa: PLC0415
    from userstream_server.databases.mysql.database import MySQLDatabase  # noqa: PLC0415

    return MySQLDatabase(
        MySQLOptions(
            url,
            connect_timeout_seconds=options.connect_timeout_seconds,
            query_timeout_seconds=options.query_timeout_seconds,
            net_write_timeout_seconds=options.net_write_timeout_seconds,
            native_rows=options.native_rows,
        ),
        pool_size=options.pool_size,
        pool_wait_seconds=options.pool_wait_seconds,
        snapshot_views=options.snapshot_views,
    )
