"""Several hosts in the URL: which are read, and what happens to those that are not."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from userstream_server.databases.database import Database
from userstream_server.databases.host_state import HostState, ReadFrom, Role
from userstream_server.databases.mysql.cluster import MySQLCluster
from userstream_server.databases.url import DatabaseUrl
from userstream_server.errors import PreconditionError, UnavailableError
from userstream_server.rows.generators import Users
from userstream_testing.admin import admin_connection, execute, open_url
from userstream_testing.reader import reader_of
from userstream_testing.replica import Replicated
from userstream_testing.waiting import until

ROWS = 3000
NAME = "userstream_hosts"


@contextmanager
def opened(url: str, **options: Any) -> Iterator[Database]:
    with closing(open_url(url, host_timeout_seconds=1, **options)) as database:
        yield database


def states(database: Database) -> list[HostState]:
    return list(database.hosts())


def count(database: Database) -> int:
    with database.session() as session:
        return Users(session).count()


def test_both_are_read(pair: Replicated) -> None:
    """A source and a replica that runs may be read, and calls are spread over both."""
    with opened(pair.url(NAME)) as database, ExitStack() as calls:
        database.check()
        source, replica = states(database)
        for _ in range(20):
            session = calls.enter_context(database.session())
            assert Users(session).count() == ROWS
        assert isinstance(database, MySQLCluster)
        loads = [host.load for host in database._hosts]

        assert (True, Role.PRIMARY, None) == (source.readable, source.role, source.lag_seconds)
        assert (True, Role.REPLICA, 0) == (replica.readable, replica.role, replica.lag_seconds)
        assert sum(loads) == 20
        assert min(loads) >= 8
        calls.close()
        assert [0, 0] == [host.load for host in database._hosts]


@pytest.mark.parametrize(
    ("wanted", "role"), [("replicas", Role.REPLICA), ("primary", Role.PRIMARY)]
)
def test_read_from(pair: Replicated, wanted: str, role: Role) -> None:
    """USERSTREAM_READ_FROM leaves out the others, and says so."""
    with opened(pair.url(NAME), read_from=ReadFrom(wanted)) as database:
        assert count(database) == ROWS
        (read,) = [state for state in states(database) if state.readable]
        (other,) = [state for state in states(database) if not state.readable]

    assert role is read.role
    assert other.is_unwanted
    assert other.text.endswith(f"left out, as USERSTREAM_READ_FROM is {wanted}")


def test_a_replica_that_is_stopped(pair: Replicated) -> None:
    """It is left out until it runs again; without any other host there is no answer."""
    with opened(pair.url(NAME)) as database, opened(pair.url(NAME, pair.replica)) as alone:
        database.check()
        pair.stop()
        try:
            until(lambda: not states(database)[1].readable)
            assert states(database)[1].text == "replica that is stopped"
            assert {ROWS} == {count(database) for _ in range(5)}
            assert alone.hosts() == ()  # a single host is read whatever it is
        finally:
            pair.start()
        until(lambda: states(database)[1].readable)


def test_a_replica_that_is_behind(pair: Replicated) -> None:
    """It is left out while it is further behind than it may be."""
    with (
        opened(pair.url(NAME), replica_lag_seconds_max=1) as database,
        closing(admin_connection(f"{pair.replica.url}/{NAME}")) as blocker,
        blocker.cursor() as cursor,
    ):
        database.check()
        cursor.execute("LOCK TABLES user_data READ")
        execute(f"{pair.source.url}/{NAME}", "UPDATE user_data SET age = age + 1")
        until(lambda: not states(database)[1].readable)
        behind = states(database)[1]
        cursor.execute("UNLOCK TABLES")
        until(lambda: states(database)[1].readable)

    assert behind.lag_seconds is not None
    assert behind.lag_seconds > 1
    assert "more than USERSTREAM_REPLICA_LAG_SECONDS_MAX (1)" in behind.text


def test_a_replica_without_its_source(pair: Replicated) -> None:
    """It falls behind from the loss of its source on, whatever it says itself."""
    with opened(pair.url(NAME), replica_lag_seconds_max=2) as database:
        database.check()
        pair.source.kill()
        try:
            until(lambda: states(database)[1].is_cut_off)
            assert states(database)[1].readable
            assert count(database) == ROWS
            until(lambda: not states(database)[1].readable)
            with pytest.raises(UnavailableError, match="No database host can be read from"):
                count(database)
            with pytest.raises(UnavailableError):
                database.ping()
        finally:
            pair.source.start()
        until(lambda: all(state.readable for state in states(database)))
        assert count(database) == ROWS


def test_a_frozen_host(pair: Replicated) -> None:
    """It is noticed within its time-out, costs calls nothing after that, and comes back by itself."""
    with opened(pair.url(NAME)) as database:
        database.check()
        pair.replica.pause()
        try:
            until(lambda: not states(database)[1].readable, 2.5)
            began = time.monotonic()
            assert {ROWS} == {count(database) for _ in range(20)}
            assert time.monotonic() - began < 1
        finally:
            pair.replica.resume()
        until(lambda: states(database)[1].readable, 10)


def test_an_account_that_sees_nothing(pair: Replicated) -> None:
    """The replica is read, and the hint has the one grant with which its state shows."""
    with reader_of(pair.url(NAME, pair.source)) as url:
        account = DatabaseUrl.parse(url).user
        hosts = pair.url(NAME).rpartition("@")[2]
        both = f"{url.rpartition('@')[0]}@{hosts}"
        grants = f"SELECT COUNT(*) FROM mysql.user WHERE user = '{account}'"
        pair.wait_for(grants)
        with opened(both) as database:
            until(lambda: states(database)[1].readable or not database.check())
            hint = states(database)[1].hint
        grant = hint.partition(": ")[2]
        execute(pair.source.url, grant.replace("<account>", f"'{account}'@'%'"))
        with opened(both) as database:
            until(lambda: states(database)[1].role is Role.REPLICA or not database.check())

            assert hint
            assert states(database)[1].hint == ""


def test_tables_that_do_not_fit(pair: Replicated) -> None:
    """A host without the table is left out; where none has it, calls say so and health lives on."""
    replica = f"{pair.replica.url}/{NAME}"
    with opened(pair.url(NAME)) as database:
        database.check()
        execute(replica, "SET sql_log_bin = 0", "RENAME TABLE user_data TO elsewhere")
        try:
            until(lambda: not states(database)[1].readable)
            assert "does not exist" in states(database)[1].text
            assert {ROWS} == {count(database) for _ in range(5)}
        finally:
            execute(replica, "SET sql_log_bin = 0", "RENAME TABLE elsewhere TO user_data")
        until(lambda: states(database)[1].readable, 10)
    with opened(pair.url("no_such_database")) as database:
        with pytest.raises(PreconditionError) as caught:
            count(database)
        assert caught.value.reason == "TABLE_MISSING"
        database.ping()


def test_metrics_add_up(pair: Replicated) -> None:
    """The pools of all hosts are shown as one."""
    with opened(pair.url(NAME), pool_size=3) as database:
        database.check()
        with database.session(snapshot=True), database.session(snapshot=True):
            in_use = Counter(database.pool.in_use_by_class())

            assert (6, 2, 0) == (database.pool.size, database.pool.in_use, database.pool.waiting)
            assert in_use["snapshot"] == 2
            assert database.pool.waits.count()["snapshot", "served"] == 0
