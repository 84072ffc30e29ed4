"""Users read in C over a real connection are those read in Python, and end as those do."""

import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from userstream_server.databases.database import Database
from userstream_server.databases.mysql.connecting import connect_any
from userstream_server.databases.mysql.database import MySQLDatabase
from userstream_server.databases.mysql.native_library import load_library
from userstream_server.databases.mysql.native_rows import native_rows
from userstream_server.databases.options import DatabaseOptions
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import (
    DeadlineError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)
from userstream_server.rows.dialects import MYSQL
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.sql import Query, ages_query, users_query
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_synthetic, seed_users
from userstream_testing.admin import admin_connection, execute, open_url

AGE_MAX = 9_999_999_999
EXTREMES = [
    UserRow(f"00000000-0000-4000-8000-{n:012d}", name, email, age)
    for n, (name, email, age) in enumerate(
        [
            ("a" * 255, "🌻" * 255, AGE_MAX),
            ("\0", "x", -AGE_MAX),
            ("é" * 64, "y" * 127, 0),
            ("ü" * 63, "y" * 128, 127),
            ("", "", 128),
        ]
    )
]
EVERYONE = users_query(MYSQL, Scan(), limit=1_000_000)
HUGE = Query("SELECT a.user_id, a.name, a.email, a.age FROM user_data a, user_data b")
SLOW = Query(HUGE.text + ", user_data c WHERE a.age + b.age = c.age + 1000000")

pytestmark = pytest.mark.skipif(
    load_library() is None, reason="the package is installed without its native part"
)


@pytest.fixture(scope="module")
def url(mysql_url: str) -> Iterator[str]:
    """Yield the URL of a MySQL database with 5,000 users and the extremes, for tests that only read."""
    name = "userstream_test_native"
    execute(mysql_url, f"DROP DATABASE IF EXISTS {name}")
    seed_synthetic(DatabaseUrl.parse(f"{mysql_url}/{name}"), 5000)
    seed_users(DatabaseUrl.parse(f"{mysql_url}/{name}"), EXTREMES)
    yield f"{mysql_url}/{name}"
    execute(mysql_url, f"DROP DATABASE {name}")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Yield it with a pool of two."""
    opened = open_url(url, pool_size=2)
    yield opened
    opened.close()


def test_it_is_what_the_server_uses(database: Database) -> None:
    """Where it was built it serves, and --check says so."""
    assert database.driver.encoder == "c"
    assert "encoded in C" in database.check().driver


@pytest.mark.parametrize("other", [{"native_rows": False}, {"use_pure": True}])
@pytest.mark.parametrize("at_once", [1, 7, 1000, 10_000])
def test_every_way_reads_the_same(
    database: Database, url: str, other: dict[str, bool], at_once: int
) -> None:
    """Same blocks, same bytes: in C, through the driver's C extension, and without that."""
    query = users_query(
        MYSQL, Scan(UserFilter(age_over=-AGE_MAX - 1), up_to="f"), limit=min(4000, 500 * at_once)
    )
    slower = open_url(url, **other)
    with closing(slower), database.session() as c, slower.session() as python:
        assert slower.driver.encoder == "python"
        assert list(python.encoded(query, lambda: at_once)) == list(
            c.encoded(query, lambda: at_once)
        )


@pytest.mark.parametrize("other", [{"native_rows": False}, {"use_pure": True}])
def test_ages_are_counted_the_same(database: Database, url: str, other: dict[str, bool]) -> None:
    """In C and in Python, with the largest and the least of them."""
    query = ages_query(MYSQL, Scan())
    slower = open_url(url, **other)
    with closing(slower), database.session() as c, slower.session() as python:
        (expected,) = python.counted(query)
        counted = sum(c.counted(query), Counter())

        assert expected == counted
        assert {AGE_MAX, -AGE_MAX, 0} < expected.keys()
        assert 5005 == expected.total()


def test_counting_left_in_the_middle(
    database: MySQLDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query is killed at the database, and the connection discarded."""
    monkeypatch.setattr("userstream_server.databases.mysql.native_rows._COUNT_ROWS", 1000)
    with database.session() as session:
        steps = session.counted(Query("SELECT a.age FROM user_data a, user_data b"))
        assert next(steps).total() == 1000
        steps.close()

        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))
    assert database.queries_killed == 1


def test_nothing_found(database: Database) -> None:
    """No row, no block; the connection serves the next query."""
    with database.session() as session:
        query = users_query(MYSQL, Scan(after="g"), limit=10)

        assert [] == list(session.encoded(query, lambda: 5))
        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))
        assert 5005 == sum(block.user_count for block in session.encoded(EVERYONE, lambda: 100))


def test_leaving_in_the_middle_is_quick(database: MySQLDatabase) -> None:
    """A result of 25 million rows, left after its first block, is killed, and its connection discarded."""
    with database.session() as session:
        blocks = session.encoded(HUGE, lambda: 100)
        assert next(blocks).user_count == 100
        began = time.monotonic()
        blocks.close()

        assert time.monotonic() - began < 2
        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))
    assert database.queries_killed == 1
    assert database.pool.in_use == 0


def kill_huge(url: str) -> None:
    """End the connection on which HUGE runs."""
    ((number,),) = execute(
        url,
        "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%user_data b'"
        " AND INFO NOT LIKE '%PROCESSLIST%'",
    )
    execute(url, f"KILL {number}")


def test_a_kill_in_the_middle(database: MySQLDatabase, url: str) -> None:
    """Somebody's KILL of the connection is UNAVAILABLE; the blocks before it came whole."""
    with database.session() as session:
        blocks = session.encoded(HUGE, lambda: 1000)
        came = [next(blocks).user_count]
        kill_huge(url)
        with pytest.raises(UnavailableError):
            came += [block.user_count for block in blocks]

    assert {1000} == set(came)
    assert database.pool.in_use == 0


def test_the_deadline(database: Database) -> None:
    """A query that finds nothing for longer than the deadline is ended by the database."""
    with database.session(deadline_seconds=0.3) as session, pytest.raises(DeadlineError):
        list(session.encoded(SLOW, lambda: 100))


def test_a_query_that_is_refused(database: MySQLDatabase) -> None:
    """The database's own refusal has its reason, needs no kill, and hurts nobody after it."""
    missing = Query(HUGE.text.replace("user_data b", "user_date b"))
    with database.session() as session:
        with pytest.raises(PreconditionError) as caught:
            list(session.encoded(missing, lambda: 100))

        assert caught.value.reason == "TABLE_MISSING"
        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))
    assert database.queries_killed == 0


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ("'a', NULL, 'b', 1", PreconditionError),
        ("'a', 'b', 'c', 1.5", PreconditionError),
        ("'a', 'b', 1", ValueError),
    ],
)
def test_rows_that_are_no_users(
    database: MySQLDatabase, columns: str, error: type[Exception]
) -> None:
    """NULLs, fractions and other columns are refused, and the connection is not used again."""
    with database.session() as session:
        with pytest.raises(error):
            list(session.encoded(Query(f"SELECT {columns}"), lambda: 100))

        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))


def test_a_snapshot(database: Database, url: str) -> None:
    """Within a snapshot, users written meanwhile do not come."""
    new = UserRow("ffffffff-ffff-4fff-8fff-ffffffffffff", "New", "new@example.com", 1)
    with database.session(snapshot=True) as session:
        seed_users(DatabaseUrl.parse(url), [new])
        counted = sum(block.user_count for block in session.encoded(EVERYONE, lambda: 1000))
        execute(url, f"DELETE FROM user_data WHERE user_id = '{new.user_id}'")

    assert 5005 == counted


def test_a_connection_whose_number_differs_is_left_alone(url: str) -> None:
    """Had the driver moved its connection's inside, another number would stand there: no reader then."""
    options = DatabaseOptions(DatabaseUrl.parse(url))
    raw, _ = connect_any(options, tuple(options.url.hosts))

    class Moved:
        _cmysql = raw._cmysql
        connection_id = raw.connection_id + 1

    assert native_rows(Moved(), options) is None
    assert native_rows(raw, options) is not None
    raw.close()


def test_memory_goes_back_after_each_query(url: str) -> None:
    """Between queries a connection holds no buffer, however large its last block was."""
    options = DatabaseOptions(DatabaseUrl.parse(url))
    raw, _ = connect_any(options, tuple(options.url.hosts))
    reader = native_rows(raw, options)
    assert reader is not None
    with closing(reader.encoded(EVERYONE.text.encode(), lambda: 4000)) as blocks:
        assert next(blocks).user_count == 4000
        assert reader._fetcher._out.users.room > 300_000
        assert next(blocks).user_count == 1005

    assert reader._fetcher._out.users.room == 0
    assert not reader.unread
    raw.close()


def test_any_engine_s_connections_can_be_thrown_away(url: str) -> None:
    """Databases opened, used, left in the middle and closed, over and over, end without a trace."""
    for _ in range(20):
        database = open_url(url, pool_size=1)
        with database.session() as session:
            next(blocks := session.encoded(EVERYONE, lambda: 10))
            del blocks
            gc.collect()
            with pytest.raises(UserStreamError):
                list(session.encoded(Query("SELECT"), lambda: 10))
        database.close()
    with closing(admin_connection(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT%user_data%'"
            " AND INFO NOT LIKE '%PROCESSLIST%'"
        )

        assert cursor.fetchone() == (0,)
