"""Open the database that an address names."""

from userstream_server.databases.database import Database
from userstream_server.databases.options import DatabaseOptions

__all__ = ["open_database"]


def open_database(options: DatabaseOptions) -> Database:
    """Return the database that the options name; nothing connects yet."""
    if options.url.engine == "sqlite":
        from userstream_server.databases.sqlite import SQLiteDatabase  # noqa: PLC0415

        return SQLiteDatabase(options)
    # Imported late: the embedded database needs no driver.
    if len(options.url.hosts) > 1:
        from userstream_server.databases.mysql.cluster import MySQLCluster  # noqa: PLC0415

        return MySQLCluster(options)
    from userstream_server.databases.mysql.database import MySQLDatabase  # noqa: PLC0415

    return MySQLDatabase(options)
