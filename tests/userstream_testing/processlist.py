"""What the database says that the service does there just now."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from userstream_testing.admin import admin_connection, execute

__all__ = [
    "RUNNING",
    "connections",
    "locked_table",
    "running",
    "until_gone",
    "until_running",
]

RUNNING = (
    "SELECT id, info FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE"
    " '%FROM user_data%' AND info NOT LIKE '%processlist%'"
)
"""The service's queries that run now: connection and text."""


def running(url: str) -> dict[int, str]:
    """Return the service's running queries by connection."""
    return {int(number): str(text) for number, text in execute(url, RUNNING)}


def connections(url: str) -> set[int]:
    """Return the connections to the database, but for the one that asks."""
    rows = execute(
        url,
        "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    )
    return {int(row[0]) for row in rows}


def until_running(url: str, count: int) -> dict[int, str]:
    """Wait until so many queries run, and return them."""
    deadline = time.monotonic() + 20
    while len(found := running(url)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def until_gone(url: str, numbers: set[int]) -> float:
    """Wait until these connections are gone; return how long it took, in seconds."""
    begin = time.monotonic()
    while connections(url) & numbers:
        assert time.monotonic() < begin + 20
        time.sleep(0.01)
    return time.monotonic() - begin


@contextmanager
def locked_table(url: str) -> Iterator[None]:
    """Make every query to user_data wait for the block's end."""
    with closing(admin_connection(url)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES user_data WRITE")
        yield
        cursor.execute("UNLOCK TABLES")
