"""What only MySQL does: kills, time limits, lost connections, the pool, and the table's shape."""

import threading
import time
from collections.abc import Iterator

import pytest
from userstream_server.databases.mysql.database import MySQLDatabase
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import (
    CallCancelledError,
    DeadlineError,
    OverloadedError,
    PreconditionError,
    UnavailableError,
    UserStreamError,
)
from userstream_server.rows.dialects import MYSQL
from userstream_server.rows.generators import Users
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.sql import Query, range_query
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute, open_url

SLOW = Query("SELECT SLEEP(30)")
RANGES = [range_query(MYSQL, Scan(up_to=up_to)) for up_to in ("0", "8", "f")]


@pytest.fixture
def seeded(mysql_database: str) -> str:
    """Return the URL of a MySQL database with 5,000 users."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 5000)
    return mysql_database


@pytest.fixture
def database(seeded: str) -> Iterator[MySQLDatabase]:
    """Yield the database with a pool of two."""
    opened = open_url(seeded, pool_size=2, pool_wait_seconds=0.3, snapshot_views=1)
    assert isinstance(opened, MySQLDatabase)
    yield opened
    opened.close()


def running_sleeps(url: str) -> int:
    """Count the queries of SLOW that run now."""
    (count,) = execute(
        url,
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST"
        " WHERE INFO LIKE '%SLEEP(30)%' AND INFO NOT LIKE '%PROCESSLIST%'",
    )
    return int(count[0])


def wait_for(url: str, sleeps: int) -> float:
    """Wait until so many run; return how long it took, in seconds."""
    began = time.monotonic()
    while running_sleeps(url) != sleeps:
        assert time.monotonic() - began < 10
        time.sleep(0.01)
    return time.monotonic() - began


def test_interrupting_ends_the_query_at_the_database(database: MySQLDatabase, seeded: str) -> None:
    """Interrupted from another thread, a running query is gone within a second, and so is its connection."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            list(session.blocks(SLOW))
        except CallCancelledError as error:
            errors.append(error)

    with database.session() as session:
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(seeded, 1)
        session.interrupt()
        assert wait_for(seeded, 0) < 1
        thread.join(5)

    assert len(errors) == 1
    assert database.pool.in_use == 0


def test_an_interrupted_session_stays_ended(database: MySQLDatabase) -> None:
    """No later query of it runs."""
    with database.session() as session:
        session.interrupt()
        with pytest.raises(CallCancelledError):
            list(session.blocks(Query("SELECT 1")))


def test_closing_in_the_middle_of_a_result_is_quick(database: MySQLDatabase) -> None:
    """Leaving a result of 25 million rows after the first block does not read the rest."""
    huge = Query("SELECT a.age FROM user_data a, user_data b")
    with database.session() as session:
        blocks = session.blocks(huge)
        next(blocks)
        began = time.monotonic()
        blocks.close()

        assert time.monotonic() - began < 2
        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))


def test_the_callers_deadline_ends_the_query(database: MySQLDatabase, seeded: str) -> None:
    """A deadline of half a second ends a slow query at the database."""
    # SLEEP() itself ends without an error, so a real scan is wanted.
    slow = Query(
        "SELECT COUNT(*) FROM user_data a, user_data b, user_data c WHERE a.age + b.age = c.age"
    )
    began = time.monotonic()
    with database.session(deadline_seconds=0.5) as session, pytest.raises(DeadlineError):
        list(session.blocks(slow))

    assert time.monotonic() - began < 5
    assert running_sleeps(seeded) == 0


def test_no_query_begins_after_the_deadline(database: MySQLDatabase) -> None:
    """A deadline that is over asks the database nothing."""
    with database.session(deadline_seconds=0) as session, pytest.raises(DeadlineError):
        list(session.blocks(Query("SELECT 1")))


def test_the_pool_refuses_after_its_wait(database: MySQLDatabase) -> None:
    """With every connection in use a query is refused within the wait limit, and works once one is free."""
    with database.pool.connection(), database.pool.connection():
        began = time.monotonic()
        with database.session() as session, pytest.raises(OverloadedError) as caught:
            list(session.blocks(Query("SELECT 1")))
        assert 0.2 < time.monotonic() - began < 2
    with database.session() as session:
        assert [[(b"1",)]] == list(session.blocks(Query("SELECT 1")))

    assert caught.value.reason == "POOL_EXHAUSTED"


def test_snapshots_are_limited(database: MySQLDatabase) -> None:
    """One more snapshot than allowed is refused; when one ends, another may begin."""
    with (
        database.session(snapshot=True),
        pytest.raises(OverloadedError, match="SNAPSHOT"),
        database.session(snapshot=True),
    ):
        pass
    with database.session(snapshot=True) as session:
        assert Users(session).count() == 5000


def test_a_killed_connection_is_unavailable(database: MySQLDatabase, seeded: str) -> None:
    """Connections killed while they rest are replaced, or reported UNAVAILABLE; never anything else."""
    with database.session() as session:
        assert Users(session).count() == 5000
    for (number,) in execute(
        seeded,
        "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()",
    ):
        execute(seeded, f"KILL {number}")
    with database.session() as session, pytest.raises(UnavailableError):
        Users(session).count()
    with database.session() as session:
        assert Users(session).count() == 5000


def test_the_session_cannot_write(database: MySQLDatabase, seeded: str) -> None:
    """Even an account that may write is refused by the read-only session."""
    with (
        database.session() as session,
        pytest.raises(UserStreamError, match=r"Internal error|read-only"),
    ):
        list(session.blocks(Query("DELETE FROM user_data")))

    assert execute(seeded, "SELECT COUNT(*) FROM user_data") == [(5000,)]


def test_keyset_queries_use_the_primary_key(seeded: str) -> None:
    """The chunk query is a range over the primary key: no sort, no full scan."""
    ((version,),) = execute(seeded, "SELECT VERSION()")
    is_mariadb = "MariaDB" in version
    (plan,) = execute(
        seeded,
        f"EXPLAIN {'' if is_mariadb else 'FORMAT=TRADITIONAL '}SELECT user_id, name, email, age FROM user_data"
        " WHERE user_id > '7fffffff-0000-4000-8000-000000000000' ORDER BY user_id LIMIT 100",
    )

    assert "range" in plan
    assert "PRIMARY" in plan
    assert "filesort" not in str(plan[-1])


def test_the_pure_python_driver_gives_the_same(seeded: str) -> None:
    """Without the C extension the rows are the same bytes."""
    quick, pure = open_url(seeded), open_url(seeded, use_pure=True)
    with quick.session() as a, pure.session() as b:
        rows: list[UserRow] = list(Users(a).stream_users())

        assert rows == list(Users(b).stream_users())
        assert a.estimates(RANGES) == b.estimates(RANGES)
        assert list(Users(b).stream_users(Scan(UserFilter(name_prefix="Zoë"), limit=5)))
    quick.close()
    pure.close()


SHAPES = [
    ("DROP TABLE user_data", "TABLE_MISSING", "does not exist"),
    ("ALTER TABLE user_data DROP COLUMN email", "TABLE_SHAPE", "no column email"),
    ("ALTER TABLE user_data MODIFY age DECIMAL(5,2) NOT NULL", "TABLE_SHAPE", "2 decimal places"),
    (
        "ALTER TABLE user_data MODIFY age VARCHAR(9) NOT NULL",
        "TABLE_SHAPE",
        "age is of type varchar",
    ),
    (
        "ALTER TABLE user_data DROP PRIMARY KEY, MODIFY user_id CHAR(36) NULL, ADD UNIQUE KEY (user_id)",
        "TABLE_SHAPE",
        "user_id may be NULL",
    ),
    ("ALTER TABLE user_data DROP PRIMARY KEY", "TABLE_SHAPE", "not its primary key"),
    ("ALTER TABLE user_data MODIFY user_id BINARY(36) NOT NULL", "TABLE_SHAPE", "of type binary"),
]


@pytest.mark.parametrize(("change", "reason", "words"), SHAPES)
def test_a_table_of_another_shape(
    database: MySQLDatabase, seeded: str, change: str, reason: str, words: str
) -> None:
    """Each way in which the table may not fit is said in one line that tells how to mend it."""
    execute(seeded, change)
    with pytest.raises(PreconditionError, match=words) as caught:
        database.check()

    assert caught.value.reason == reason
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE user_data MODIFY user_id VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL",
        "ALTER TABLE user_data MODIFY age INT NOT NULL",
        "ALTER TABLE user_data MODIFY name VARCHAR(255) NULL",
        "ALTER TABLE user_data DROP PRIMARY KEY, ADD UNIQUE KEY (user_id)",
    ],
)
def test_other_shapes_that_fit(database: MySQLDatabase, seeded: str, change: str) -> None:
    """Tables made by others are fine where nothing we rely on is missing."""
    execute(seeded, change)

    assert database.check().server.startswith(("MySQL", "MariaDB"))
    with database.session() as session:
        assert len(list(Users(session).stream_users())) == 5000


def test_wrong_password_and_missing_database(seeded: str) -> None:
    """Both are FAILED_PRECONDITION, without the driver's words."""
    for url, reason in (
        (seeded.replace("tester:", "tester:not-"), "DATABASE_CREDENTIALS"),
        (seeded + "_missing", "TABLE_MISSING"),
    ):
        database = open_url(url)
        with pytest.raises(PreconditionError) as caught:
            database.check()
        database.close()

        assert caught.value.reason == reason
        assert "tester" not in caught.value.message


def test_a_database_that_is_down() -> None:
    """No answer is UNAVAILABLE."""
    database = open_url("mysql://u:p@127.0.0.1:1/x")
    with pytest.raises(UnavailableError):
        database.ping()
    database.close()


def test_the_next_host_is_tried(seeded: str) -> None:
    """With two hosts in the URL, one of them dead, the other serves."""
    at, _, rest = seeded.rpartition("@")
    database = open_url(f"{at}@127.0.0.1:1,{rest}")
    with database.session() as session:
        assert Users(session).count() == 5000
    database.close()
