"""Our own server within the test's process: quicker to start than one of its own, and open to the debugger."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from userstream_server.databases.open import open_database
from userstream_server.rpc.server import build_server
from userstream_server.settings import load_settings

__all__ = ["served"]


@contextmanager
def served(url: str, **settings: Any) -> Iterator[str]:
    """Yield the address of a server over a database.

    Args:
        url: The database.
        settings: Others than the defaults, by their names in lower case.
    """
    loaded = load_settings(database_url=url, listen="127.0.0.1:0", **settings)
    with closing(open_database(loaded.database_options)) as database:
        server = build_server(loaded, database)
        server.start()
        try:
            yield f"127.0.0.1:{server.port}"
        finally:
            server.stop(0)
