"""The four generators over real databases: the same results from each."""

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any
from weakref import WeakSet

import pytest
from userstream_server.databases.database import Database
from userstream_server.rows.batches import DecodeUsers, UserBatch
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import UserRow
from userstream_testing.admin import execute, open_url


class Counting:
    """A session that counts its queries."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.queries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def blocks(self, query: Any, *more: Any) -> Any:
        self.queries += 1
        return self._session.blocks(query, *more)

    def counted(self, query: Any) -> Any:
        self.queries += 1
        return self._session.counted(query)

    def encoded(self, query: Any, *more: Any) -> Any:
        self.queries += 1
        return self._session.encoded(query, *more)


class Held:
    """A batch whose end can be seen."""


class HoldBatches(DecodeUsers):
    """Batches of a hundred users, noted while they live."""

    def __init__(self, held: WeakSet[Held]) -> None:
        super().__init__(100)
        self._held = held

    def read(self, session: Any, query: Any) -> Any:
        for batch in super().read(session, query):
            self._held.add(held := Held())
            yield batch._replace(users=held)  # type: ignore[arg-type]
            del batch, held


@pytest.fixture
def database(shared_url: str) -> Iterator[Database]:
    """Yield the seeded database with a pool of two."""
    opened = open_url(shared_url, pool_size=2, pool_wait_seconds=0.5, snapshot_views=1)
    yield opened
    opened.close()


@pytest.fixture
def session(database: Database) -> Iterator[Counting]:
    """Yield a session that counts its queries."""
    with database.session() as opened:
        yield Counting(opened)


@pytest.mark.parametrize("first_rows", [1, 7, 250, 1234, 1235, 5000])
def test_stream_users_yields_everyone_in_key_order(
    session: Counting, users: list[UserRow], first_rows: int
) -> None:
    """Whatever the chunks, every user comes once, in ascending order of user_id."""
    sizes = ChunkSizes(first_rows=first_rows, max_rows=max(first_rows, 300))

    assert users == list(Users(session, sizes).stream_users())


@pytest.mark.parametrize("limit", [0, 1, 2, 6, 7, 8, 13, 14, 15, 1233, 1234, 1235])
def test_stream_users_every_limit(session: Counting, users: list[UserRow], limit: int) -> None:
    """A limit is exact, at each border of a chunk."""
    sizes = ChunkSizes(first_rows=7, max_rows=7)

    assert users[:limit] == list(Users(session, sizes).stream_users(Scan(limit=limit)))


def test_a_limit_makes_no_needless_query(session: Counting, users: list[UserRow]) -> None:
    """Nothing is asked once the limit is reached."""
    sizes = ChunkSizes(first_rows=10, max_rows=10)

    assert users[:20] == list(Users(session, sizes).stream_users(Scan(limit=20)))
    assert session.queries == 2


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10, 249, 250, 251, 900, 1000, 10_000])
def test_batch_processing_every_size(
    session: Counting, users: list[UserRow], batch_size: int
) -> None:
    """Batches are exact but for the last, and hold users over 25 only."""
    over_25 = [user for user in users if user.age > 25]
    batches = list(Users(session).batch_processing(batch_size))

    assert over_25 == [user for batch in batches for user in batch]
    assert math.ceil(len(over_25) / batch_size) == len(batches)
    assert all(len(batch) == batch_size for batch in batches[:-1])


@pytest.mark.parametrize("page_size", [1, 3, 100, 617, 1233, 1234, 1235])
def test_lazy_paginate_every_size(session: Counting, users: list[UserRow], page_size: int) -> None:
    """Pages hold everyone in order, and only the last says that nothing follows."""
    pages = list(Users(session).lazy_paginate(page_size))

    assert users == [user for page in pages for user in page.users]
    assert [True] * (len(pages) - 1) + [False] == [page.has_more for page in pages]
    assert [page.users[-1].user_id for page in pages] == [page.last_key for page in pages]


def test_lazy_paginate_asks_for_a_page_when_it_is_wanted(session: Counting) -> None:
    """No query before the first page is asked for, and one for each page taken."""
    pages = Users(session).lazy_paginate(100)
    counts = [session.queries]
    for _ in range(3):
        next(pages)
        counts.append(session.queries)

    assert counts == [0, 1, 2, 3]


@pytest.mark.parametrize("offset", [0, 1, 500, 1233, 1234, 9999])
def test_lazy_paginate_from_an_offset(session: Counting, users: list[UserRow], offset: int) -> None:
    """An offset skips that many users; beyond the end there is no page."""
    pages = Users(session).lazy_paginate(200, offset=offset)

    assert users[offset:] == [user for page in pages for user in page.users]


def test_stream_user_ages(session: Counting, users: list[UserRow]) -> None:
    """Ages alone, one by one."""
    assert sorted(user.age for user in users) == sorted(Users(session).stream_user_ages())


FILTERS = [
    UserFilter(age_over=25),
    UserFilter(age_up_to=25),
    UserFilter(age_over=24, age_up_to=25),
    UserFilter(age_over=120),
    UserFilter(name_prefix="A"),
    UserFilter(name_prefix="a"),
    UserFilter(name_prefix="Zoë D'"),
    UserFilter(name_prefix="李"),
    UserFilter(name_prefix="%"),
    UserFilter(name_prefix="' OR '1'='1"),
    UserFilter(name_prefix="Ada\\"),
    UserFilter(email_domain="example.com"),
    UserFilter(email_domain="EXAMPLE.org"),
    UserFilter(email_domain="xample.com"),
    UserFilter(email_domain="%.com"),
    UserFilter(age_over=60, name_prefix="S", email_domain="example.net"),
]


def matches(wanted: UserFilter, user: UserRow) -> bool:
    """Say in Python what the SQL must do."""
    return (
        (wanted.age_over is None or user.age > wanted.age_over)
        and (wanted.age_up_to is None or user.age <= wanted.age_up_to)
        and user.name.startswith(wanted.name_prefix)
        and (
            not wanted.email_domain
            or user.email.lower().endswith("@" + wanted.email_domain.lower())
        )
    )


@pytest.mark.parametrize("wanted", FILTERS)
def test_filters(session: Counting, users: list[UserRow], wanted: UserFilter) -> None:
    """Each filter takes exactly the users it describes, in each generator."""
    expected = [user for user in users if matches(wanted, user)]
    reader, scan = Users(session), Scan(wanted)

    assert expected == list(reader.stream_users(scan))
    assert expected == [u for page in reader.lazy_paginate(50, scan) for u in page.users]
    assert sorted(u.age for u in expected) == sorted(reader.stream_user_ages(scan))
    assert len(expected) == reader.count(scan)


def test_a_prefix_with_a_trailing_space_is_exact(seeded_url: str) -> None:
    """A trailing space counts, unlike in SQL's own comparison."""
    insert = "INSERT INTO user_data VALUES ('{}', '{}', 'x@example.com', 1)"
    execute(
        seeded_url,
        insert.format("ffffffff-0000-4000-8000-000000000001", "Xy"),
        insert.format("ffffffff-0000-4000-8000-000000000002", "Xy z"),
    )
    database = open_url(seeded_url)
    with database.session() as session:
        found = list(Users(session).stream_users(Scan(UserFilter(name_prefix="Xy "))))
    database.close()

    assert ["Xy z"] == [user.name for user in found]


def test_key_ranges(session: Counting, users: list[UserRow]) -> None:
    """A scan is open at its lower end and closed at its upper one."""
    scan = Scan(after=users[10].user_id, up_to=users[20].user_id)

    assert users[11:21] == list(Users(session).stream_users(scan))
    assert users[15].user_id == Users(session).boundary(scan, 5)
    assert Users(session).boundary(scan, 11) is None


def test_leaving_early_gives_the_connection_back(database: Database, session: Counting) -> None:
    """After close() in the middle of each generator, no connection is in use."""
    reader = Users(session)
    for generator in (
        reader.stream_users(),
        reader.batch_processing(10),
        reader.lazy_paginate(10),
        reader.stream_user_ages(),
    ):
        next(generator)
        generator.close()

        assert database.pool.in_use == 0


def test_a_paused_stream_holds_no_connection(database: Database, session: Counting) -> None:
    """A consumer that stops in the middle holds nothing of the database."""
    stream = Users(session).stream_users()
    next(stream)

    assert database.pool.in_use == 0


def test_what_was_handed_out_is_not_kept(session: Counting) -> None:
    """A stream holds what is still to come of a chunk, not what its consumer has taken."""
    held = WeakSet[Held]()
    users = Users(session, ChunkSizes(first_rows=500))
    alive = []
    with closing(users.stream_users(Scan(limit=500), HoldBatches(held))) as batches:
        for _ in range(5):
            next(batches)
            alive.append(len(held))

    assert [4, 3, 2, 1, 0] == alive


def test_an_exception_gives_the_connection_back(database: Database, session: Counting) -> None:
    """When a conversion fails in the middle of a result, the connection is discarded, not leaked."""

    class Failing(DecodeUsers):
        def read(self, session: Session, query: Query) -> Generator[UserBatch[list[UserRow]]]:
            for _ in super().read(session, query):
                raise ZeroDivisionError
            yield UserBatch([], 0, b"")

    for _ in range(5):  # more often than the pool has connections
        with pytest.raises(ZeroDivisionError):
            list(Users(session).stream_users(Scan(), Failing()))

    assert database.pool.in_use == 0
    assert len(list(Users(session).stream_users())) == 1234


def test_snapshot_sees_one_state(seeded_url: str) -> None:
    """Rows deleted after its start still come in a snapshot, and not in a later one."""
    if seeded_url.startswith("sqlite"):
        # With write-ahead logging SQLite's writers need not wait for its readers.
        execute(seeded_url, "PRAGMA journal_mode = WAL")
    database = open_url(seeded_url)
    sizes = ChunkSizes(first_rows=10, max_rows=10)
    with database.session(snapshot=True) as session:
        stream = Users(session, sizes).stream_users()
        next(stream)
        execute(seeded_url, "DELETE FROM user_data WHERE age > 50")
        rest = sum(1 for _ in stream)
    with database.session(snapshot=True) as session:
        later = Users(session).count()
    database.close()

    assert rest == 1233
    assert later < 1234
