"""The contestant with Arrow Flight, streamed: record batches out of the driver's raw cursor. Prints its port."""

import os
from collections.abc import Iterator
from typing import Any

# Before Arrow Flight: imported after it, the driver runs without its C extension.
import _mysql_connector  # noqa: F401
import pyarrow as pa
from userstream_server.databases.url import DatabaseUrl

from benchmarks.contestants.plain_cursor import users_cursor

# isort: split
from pyarrow import flight

__all__ = ["main"]

_BATCH_ROWS = 10_000
_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("name", pa.string()),
        ("email", pa.string()),
        ("age", pa.int64()),
    ]
)


class _Users(flight.FlightServerBase):  # type: ignore[misc]  # Arrow ships no types
    """Sends all users, whatever the ticket."""

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._url = url

    def do_get(self, _context: Any, _ticket: Any) -> Any:
        """Stream the table."""
        return flight.GeneratorStream(_SCHEMA, _batches(self._url))


def _batches(url: DatabaseUrl) -> Iterator[Any]:
    with users_cursor(url, raw=True) as cursor:
        while rows := cursor.fetchmany(_BATCH_ROWS):
            columns = [pa.array(column, pa.binary()) for column in zip(*rows, strict=True)]
            texts = [column.cast(pa.string()) for column in columns]
            texts[3] = texts[3].cast(pa.int64())
            yield pa.record_batch(texts, schema=_SCHEMA)


def main() -> None:
    """Serve until a signal ends the process."""
    server = _Users(DatabaseUrl.parse(os.environ["USERSTREAM_DATABASE_URL"]))
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
