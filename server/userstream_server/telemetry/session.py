"""A database session that measures its queries."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any, TypeVar

from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from userstream_server.call_stats import CallStats
from userstream_server.errors import CallCancelledError, UnavailableError
from userstream_server.rows.dialects import Dialect
from userstream_server.rows.freshness import Freshness
from userstream_server.rows.session import BLOCK_ROWS, Session
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table
from userstream_server.rows.types import EncodedUsers

__all__ = ["ObservedSession"]

T = TypeVar("T")


class ObservedSession:
    """A session that passes every call to another session, and records a span and the duration of each query.

    Args:
        session: The session that reads.
        stats: The running call's stats.
        seconds: Records the duration of each query, in seconds.
        tracer: Creates the spans.
        engine: The database's kind, for the spans.
    """

    def __init__(
        self,
        session: Session,
        stats: CallStats,
        seconds: Histogram,
        tracer: Tracer,
        engine: str,
    ) -> None:
        self._session = session
        self._stats = stats
        self._seconds = seconds
        self._tracer = tracer
        self._engine = engine

    @property
    def table(self) -> Table:
        """The table as the measured session takes it."""
        return self._session.table

    @property
    def dialect(self) -> Dialect:
        """The SQL dialect of the other session."""
        return self._session.dialect

    def look_at_table(self) -> Table:
        """Ask the database for the table, and measure the query."""
        with self._measured("check"):
            return self._session.look_at_table()

    def blocks(
        self, query: Query, rows: Callable[[], int] = lambda: BLOCK_ROWS
    ) -> Generator[list[Any]]:
        """Yield the query's rows in blocks, measured."""
        return self._read(self._session.blocks(query, rows), len)

    def encoded(self, query: Query, rows: Callable[[], int]) -> Generator[EncodedUsers]:
        """Yield the query's users encoded, measured."""
        return self._read(self._session.encoded(query, rows), lambda block: block.user_count)

    def counted(self, query: Query) -> Generator[Counter[int]]:
        """Yield the query's users counted by age, measured."""
        return self._read(self._session.counted(query), lambda ages: ages.total())

    def estimates(self, queries: Sequence[Query]) -> list[float]:
        """Return the database's estimates of the queries' rows, measured."""
        with self._measured("estimate"):
            return self._session.estimates(queries)

    @property
    def freshness(self) -> Freshness | None:
        """What the other session says of what it has read."""
        return self._session.freshness

    def move_on(self, error: UnavailableError) -> None:
        """Have the other session read elsewhere."""
        self._session.move_on(error)

    def interrupt(self) -> None:
        """End the running queries of the other session."""
        self._session.interrupt()

    def _read(self, reading: Generator[T], rows_in: Callable[[T], int]) -> Generator[T]:
        found = 0
        with self._measured("read") as span, closing(reading) as blocks:
            for block in blocks:
                found += rows_in(block)
                yield block
            span.set_attribute("db.response.returned_rows", found)

    @contextmanager
    def _measured(self, kind: str) -> Iterator[Span]:
        # No SQL, parameters or exception texts: they may hold personal data.
        span = self._tracer.start_span(
            f"{kind} user_data",
            context=self._stats.trace,
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": self._engine, "db.collection.name": "user_data"},
        )
        began_at = monotonic()
        outcome = "failed"
        try:
            yield span
            outcome = "ok"
        except (CallCancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        finally:
            if outcome == "failed":
                span.set_status(Status(StatusCode.ERROR))
            span.end()
            labels = {"method": self._stats.method, "kind": kind, "outcome": outcome}
            self._seconds.record(monotonic() - began_at, labels)
