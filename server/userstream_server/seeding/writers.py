"""Opening a database for seeding."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.batches import BatchOutcome

__all__ = ["Writer", "open_writer"]


class Writer(Protocol):
    """Stores users in transactions."""

    def add(self, users: Sequence[UserRow]) -> BatchOutcome:
        """Store users in one transaction; nothing of it stays when it fails. Raises UserStreamError."""

    def finish(self) -> None:
        """Bring the database's statistics up to date."""


@contextmanager
def open_writer(url: DatabaseUrl, *, update: bool = False) -> Iterator[Writer]:
    """Open a database for seeding, creating it and its table where they are missing.

    Args:
        url: The database.
        update: Replace stored values that differ; otherwise they stay, and the new ones are conflicts.

    Raises:
        UserStreamError: The database does not answer or refuses; its message says what to do.
    """
    # Imported late: the embedded database needs no driver.
    if url.engine == "sqlite":
        from userstream_server.seeding.sqlite_writer import sqlite_writer  # noqa: PLC0415

        with sqlite_writer(url, update=update) as writer:
            yield writer
        return
    from userstream_server.seeding.mysql_writer import mysql_writer  # noqa: PLC0415

    with mysql_writer(url, update=update) as writer:
        yield writer
