"""How large the next chunk is, and where chunks and scans end."""

from collections.abc import Generator
from dataclasses import replace
from typing import cast

import pytest
from userstream_server.rows.batches import UserBatch
from userstream_server.rows.dialects import MYSQL
from userstream_server.rows.keyset import Chunk, ChunkPace, ChunkSizes, read_chunks
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.table import Table as UnchangedTable

SIZES = ChunkSizes(first_rows=250, max_rows=32_000, target_seconds=0.25)


def chunk(rows: int, read_seconds: float = 0.0) -> Chunk[object]:
    return Chunk([], rows, read_seconds, is_last=False)


def test_default_sizes() -> None:
    """What docs/architecture.md says: 250 rows first, at most 32,000, a quarter of a second each."""
    assert SIZES == ChunkSizes()


@pytest.mark.parametrize(
    ("rows", "consumer_seconds", "read_seconds", "following"),
    [
        (250, 0.0, 0.0, 1000),  # no faster than four times as many
        (1000, 0.0, 0.0, 4000),
        (16_000, 0.0, 0.0, 32_000),  # never above the maximum
        (8000, 0.5, 0.0, 4000),  # a slow consumer
        (8000, 0.0, 0.5, 4000),  # a slow database
        (8000, 0.5, 1.0, 2000),  # the slower of both decides
        (8000, 0.2, 0.1, 10_000),
        (8000, 60.0, 0.0, 250),  # never below the first size
    ],
)
def test_the_next_chunk_lasts_as_long_as_it_should(
    rows: int, consumer_seconds: float, read_seconds: float, following: int
) -> None:
    """A chunk takes about the target time at the slower of consumer and database, within the limits."""
    pace = ChunkPace(SIZES)
    pace.consumed(chunk(rows, read_seconds), consumer_seconds)

    assert following == pace.rows


@pytest.mark.parametrize(
    ("batch_size", "first", "grown"), [(1, 250, 6666), (100, 200, 6600), (1000, 1000, 6000)]
)
def test_chunks_are_whole_batches(batch_size: int, first: int, grown: int) -> None:
    """No batch is cut by the end of a chunk: sizes are rounded down, to one batch at least."""
    pace = ChunkPace(replace(SIZES, multiple_of=batch_size))
    assert first == pace.rows

    pace.consumed(chunk(8000), 0.3)

    assert grown == pace.rows


@pytest.mark.parametrize(
    ("sizes", "slow", "fast"),
    [
        (SIZES, 1000, 1001),
        (replace(SIZES, multiple_of=300), 1200, 1201),  # 300 rows first
        (replace(SIZES, max_rows=800), 799, 800),  # nothing larger ever comes
    ],
)
def test_fast_consumers(sizes: ChunkSizes, slow: int, fast: int) -> None:
    """Chunks above the second size, or of the largest, show that the consumer is fast."""
    assert not ChunkPace(sizes).is_fast(slow)
    assert ChunkPace(sizes).is_fast(fast)


class Table:
    """Reads batches of two of so many users, whose keys are their numbers; keeps the queries."""

    dialect = MYSQL
    table = UnchangedTable()

    def look_at_table(self) -> UnchangedTable:
        return self.table

    def __init__(self, users: int) -> None:
        self._users = users
        self.queries: list[Query] = []

    def read(self, _: Session, query: Query) -> Generator[UserBatch[None]]:
        self.queries.append(query)
        after = int(str(query.parameters[0])) if query.parameters else 0
        limit = int(query.text.rpartition(" ")[2])
        last = min(self._users, after + limit)
        for first in range(after, last, 2):
            end = min(first + 2, last)
            yield UserBatch(None, end - first, b"%d" % end)


def chunks_of(table: Table, limit: int | None) -> list[Chunk[None]]:
    session = cast("Session", table)
    return list(read_chunks(session, Scan(limit=limit), table, ChunkPace(ChunkSizes(first_rows=5))))


@pytest.mark.parametrize(
    ("users", "limit", "sizes", "queries"),
    [
        (0, None, [], 1),
        (4, None, [4], 1),
        (5, None, [5], 2),  # a full chunk may be the last one: only another query shows it
        (12, None, [5, 5, 2], 3),
        (12, 0, [], 0),
        (12, 3, [3], 1),
        (12, 5, [5], 1),
        (12, 7, [5, 2], 2),
        (12, 10, [5, 5], 2),
        (12, 99, [5, 5, 2], 3),
    ],
)
def test_chunks_until_the_end_or_the_limit(
    users: int, limit: int | None, sizes: list[int], queries: int
) -> None:
    """Each query begins after the chunk before, none is needless, and the last chunk knows if it is."""
    table = Table(users)
    chunks = chunks_of(table, limit)
    ends_known = bool(sizes) and (sizes[-1] < 5 or limit == sum(sizes))

    assert sizes == [sum(batch.user_count for batch in chunk.batches) for chunk in chunks]
    assert queries == len(table.queries)
    assert [False] * (len(sizes) - 1) + [ends_known] * bool(sizes) == [c.is_last for c in chunks]


def test_a_chunk_marks_its_last_batch() -> None:
    """The batch after it needs a query; the chunk says how many rows it was to have, and that it was timed."""
    first, second = chunks_of(Table(8), None)

    assert [False, False, True] == [batch.ends_chunk for batch in first.batches]
    assert [False, True] == [batch.ends_chunk for batch in second.batches]
    assert (5, 5) == (first.rows, second.rows)
    assert 0 <= first.read_seconds < 60
