"""Merely reads the rows with the driver's C extension and throws them away: the most any Python server could do."""

import os
from itertools import islice
from typing import Any

from userstream_server.databases.mysql.connecting import connect_any
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl

__all__ = ["main"]

_SELECT = "SELECT user_id, name, email, age FROM user_data ORDER BY user_id"
_BLOCK_ROWS = 1000


def main() -> None:
    """Read the table once."""
    url = DatabaseUrl.parse(os.environ["USERSTREAM_DATABASE_URL"])
    connection: Any = connect_any(DatabaseOptions(url), url.hosts)[0]
    connection.cursor(raw=True).execute(_SELECT)
    rows = iter(connection._cmysql.fetch_row, None)  # noqa: SLF001 - it has no public name
    while list(islice(rows, _BLOCK_ROWS)):
        pass


if __name__ == "__main__":
    main()
