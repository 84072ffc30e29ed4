"""From settings to the one database they name."""

from userstream_server.databases.database import Database
from userstream_server.settings import ServerSettings

__all__ = ["open_database"]


def open_database(settings: ServerSettings) -> Database:
    """Return the database of the settings; nothing connects yet."""
    url = settings.database
    if url.engine == "sqlite":
        from userstream_server.databases.sqlite import SQLiteDatabase  # noqa: PLC0415

        assert url.path is not None, "a SQLite URL has a path"  # noqa: S101
        return SQLiteDatabase(
            url.path,
            pool_size=settings.pool_size,
            pool_wait_seconds=settings.pool_wait_seconds,
            query_timeout_seconds=settings.query_timeout_seconds,
            snapshot_views=settings.snapshot_views_max,
        )
    # Imported late: the embedded database needs no driver.
    from userstream_server.databases.mysql.connecting import MySQLOptions  # noqa: PLC0415
    from userstream_server.databases.mysql.database import MySQLDatabase  # noqa: PLC0415

    return MySQLDatabase(
        MySQLOptions(
            url,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            query_timeout_seconds=settings.query_timeout_seconds,
            net_write_timeout_seconds=settings.net_write_timeout_seconds,
            native_rows=settings.native_rows,
        ),
        pool_size=settings.pool_size,
        pool_wait_seconds=settings.pool_wait_seconds,
        snapshot_views=settings.snapshot_views_max,
    )
