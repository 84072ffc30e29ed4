"""The MySQL under the contest: one private server, and a database with the table for each number of rows."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from zlib import crc32

import mysql.connector
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_server.seeding.synthetic import KeyKind
from userstream_testing.mysql_server import PrivateServer

from benchmarks.processes import Measured, process_listening_on

__all__ = ["MySQL", "Table", "open_mysql"]

# Ten million rows take 1.5 GB; what is measured is the way from memory to the consumer, not the disk.
_OPTIONS = ("--innodb-buffer-pool-size=3G",)
_SAY_EVERY_ROWS = 1_000_000
_FETCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """user_data with a number of rows, in a database of its own.

    Attributes:
        url: The database.
        rows: How many users it holds.
    """

    url: DatabaseUrl
    rows: int

    @property
    def url_text(self) -> str:
        """The database as USERSTREAM_DATABASE_URL takes it."""
        url = self.url
        host, port = url.hosts[0]
        account = f"{quote(url.user, safe='')}:{quote(url.password, safe='')}"
        return f"mysql://{account}@{host}:{port}/{url.database}"

    @property
    def go_dsn(self) -> str:
        """The database as go-sql-driver/mysql takes it."""
        host, port = self.url.hosts[0]
        return f"{self.url.user}:{self.url.password}@tcp({host}:{port})/{self.url.database}"

    @property
    def variables(self) -> dict[str, str]:
        """The database as the programs in C and C++ take it."""
        host, port = self.url.hosts[0]
        return {
            "BENCH_HOST": host,
            "BENCH_PORT": str(port),
            "BENCH_USER": self.url.user,
            "BENCH_PASSWORD": self.url.password,
            "BENCH_DATABASE": str(self.url.database),
        }

    def id_crc32(self, limit: int = 0) -> int:
        """Return the CRC-32 of the first `limit` ids, or of all, one after the other in key order."""
        query = "SELECT user_id FROM user_data ORDER BY user_id"
        crc, connection = 0, self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"{query} LIMIT {limit}" if limit else query)
                while rows := cursor.fetchmany(_FETCH_ROWS):
                    crc = crc32("".join(row[0] for row in rows).encode("ascii"), crc)
        finally:
            connection.close()
        return crc

    def connect(self) -> Any:
        """Open a plain connection of the driver's."""
        host, port = self.url.hosts[0]
        return mysql.connector.connect(
            host=host,
            port=port,
            user=self.url.user,
            password=self.url.password,
            database=self.url.database,
        )

    def number(self, query: str) -> Any:
        """Return the one value of a query."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchone()[0]
        finally:
            connection.close()


class MySQL:
    """A running MySQL and the tables made in it so far.

    Args:
        url: `mysql://user:password@host:port`.
    """

    def __init__(self, url: str) -> None:
        self._url = DatabaseUrl.parse(url)
        self.process: Measured | None = process_listening_on(self._url.hosts[0][1])

    def table(self, rows: int, *, key_kind: KeyKind = "uuid4") -> Table:
        """Return a table of so many made-up users, seeding it when it is not there yet."""
        suffix = "" if key_kind == "uuid4" else f"_{key_kind}"
        table = Table(replace(self._url, database=f"userstream_bench_{rows}{suffix}"), rows)
        if self._rows_of(table) != rows:
            begin = time.monotonic()
            seed_synthetic(table.url, rows, key_kind=key_kind, progress=_progress(rows))
            seconds = time.monotonic() - begin
            _say(f"seeded {rows:,} rows in {seconds:.0f} s\n")
        # Warm: the contest is about serving rows, not about reading a disk.
        table.number("SELECT SUM(LENGTH(name)) FROM user_data")
        return table

    def version(self, table: Table) -> str:
        """Say what answers."""
        return f"MySQL {table.number('SELECT VERSION()')}"

    @staticmethod
    def _rows_of(table: Table) -> int:
        try:
            return int(table.number("SELECT COUNT(*) FROM user_data"))
        except mysql.connector.Error:
            return -1


@contextmanager
def open_mysql(url: str | None) -> Iterator[MySQL]:
    """Use the server at `url`, or a private one for as long as the block runs."""
    if url is not None:
        yield MySQL(url)
        return
    with PrivateServer(options=_OPTIONS) as server:
        yield MySQL(server.url)


def _progress(rows: int) -> Callable[[int], None]:
    done = 0

    def report(new_rows: int) -> None:
        nonlocal done
        done += new_rows
        if done % _SAY_EVERY_ROWS == 0 and rows > _SAY_EVERY_ROWS:
            _say(f"seeded {done:,} of {rows:,}\n")

    return report


def _say(text: str) -> None:
    sys.stderr.write(text)
