"""What a caller may make of rows, and what each generator says about them, over real databases."""

from collections import Counter
from collections.abc import Generator, Iterator

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.rows.batches import DecodeUsers, EncodeUsers, ExactSize, UserBatch
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import UserRow
from userstream_testing.admin import open_url

NOBODY = Scan(UserFilter(age_over=1000))


class Noting(DecodeUsers):
    """Keeps the queries that it reads."""

    def __init__(self, batch_rows: int) -> None:
        super().__init__(batch_rows)
        self.queries: list[Query] = []

    def read(self, session: Session, query: Query) -> Generator[UserBatch[list[UserRow]]]:
        self.queries.append(query)
        return super().read(session, query)


@pytest.fixture
def database(shared_url: str) -> Iterator[Database]:
    """Yield the seeded database."""
    opened = open_url(shared_url)
    yield opened
    opened.close()


@pytest.fixture
def reader(database: Database) -> Iterator[Users]:
    """Yield the generators, in one session."""
    with database.session() as session:
        yield Users(session, ChunkSizes(first_rows=5000, max_rows=5000))


def test_users_are_decoded_a_thousand_at_a_time(reader: Users, users: list[UserRow]) -> None:
    """A list of decoded users stays small, however large the chunk."""
    batches = list(reader.stream_users(Scan(), DecodeUsers()))

    assert [1000, 234] == [batch.user_count for batch in batches]
    assert users == [user for batch in batches for user in batch.users]


@pytest.mark.parametrize("limit", [None, 10])
def test_batches_for_the_wire(reader: Users, users: list[UserRow], limit: int | None) -> None:
    """batch_processing takes the caller's scan and reader; batches keep their exact size."""
    scan = Scan(UserFilter(age_up_to=40), limit=limit)
    batches = list(reader.batch_processing(7, scan, EncodeUsers(ExactSize(7))))
    sent = [pb.BatchUsersResponse.FromString(batch.users).users for batch in batches]

    assert [user.user_id for user in users if user.age <= 40][:limit] == [
        user.user_id for batch in sent for user in batch
    ]
    assert {7} == {len(batch) for batch in sent[:-1]}


def test_a_page_reads_one_row_more_than_it_shows(reader: Users) -> None:
    """That row shows whether another page follows; the page counts what it shows."""
    noting = Noting(100)
    pages = reader.lazy_paginate(100, Scan(), noting, offset=1150)

    assert (84, False) == next((page.user_count, page.has_more) for page in pages)
    assert ["LIMIT 101 OFFSET 1150"] == [query.text[-21:] for query in noting.queries]


def test_counted_ages(reader: Users, users: list[UserRow]) -> None:
    """How many users there are of each age, step by step."""
    counted: Counter[int] = Counter()
    for step in reader.stream_user_ages(Scan(), counted=True):
        assert isinstance(step, Counter)
        counted.update(step)

    assert Counter(user.age for user in users) == counted


def test_the_last_key(reader: Users, users: list[UserRow]) -> None:
    """The key of the scan's last user, within its range."""
    assert users[-1].user_id == reader.last_key(Scan())
    assert users[20].user_id == reader.last_key(Scan(up_to=users[20].user_id))


def test_nobody(reader: Users) -> None:
    """A scan without users has no key, no page, no batch, and counts none."""
    assert (0, None, None) == (
        reader.count(NOBODY),
        reader.last_key(NOBODY),
        reader.boundary(NOBODY, 1),
    )
    assert [] == [*reader.stream_users(NOBODY), *reader.lazy_paginate(5, NOBODY)]
    assert not sum(sum(step.values()) for step in reader.stream_user_ages(NOBODY, counted=True))
