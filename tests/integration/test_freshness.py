"""No time travel: a scan that goes on at another host finds at least what it has seen before."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from userstream_server.databases.database import Database
from userstream_server.errors import UnavailableError
from userstream_server.rows.freshness import UNKNOWN, Freshness
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_testing.admin import admin_connection, execute, open_url
from userstream_testing.replica import Replicated
from userstream_testing.waiting import until

NAME = "userstream_hosts"
SIZES = ChunkSizes(first_rows=100, max_rows=100)


@pytest.fixture
def database(pair: Replicated) -> Iterator[Database]:
    """Yield both hosts, the replica however far behind, and leave it caught up."""
    with closing(open_url(pair.url(NAME), replica_lag_seconds_max=600)) as opened:
        opened.check()
        yield opened
        until(lambda: all(host.readable for host in opened.hosts()))
    pair.wait_for(f"SELECT SUM(age) FROM {NAME}.user_data")


@contextmanager
def held_up(pair: Replicated) -> Iterator[threading.Event]:
    """Have the replica apply no change to the table until the event is set, or the block ends."""
    release = threading.Event()
    with closing(admin_connection(f"{pair.replica.url}/{NAME}")) as blocker:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLES user_data READ")

        def unlock() -> None:
            release.wait(60)
            with blocker.cursor() as cursor:
                cursor.execute("UNLOCK TABLES")

        thread = threading.Thread(target=unlock)
        thread.start()
        try:
            yield release
        finally:
            release.set()
            thread.join()


def write(pair: Replicated) -> int:
    """Change every age at the source; return the new one."""
    ((age,),) = execute(pair.source.url, f"SELECT MAX(age) FROM {NAME}.user_data")
    execute(pair.source.url, f"UPDATE {NAME}.user_data SET age = {age + 1}")
    return int(age) + 1


def at_the_source(pair: Replicated, database: Database, stack: Any, **options: Any) -> Any:
    """Open a session that reads from the source."""
    while True:
        session = stack.enter_context(database.session(**options))
        Users(session).count()
        if session._host.address[1] == pair.source.port:
            return session


def test_within_a_stream(pair: Replicated, database: Database) -> None:
    """Killed behind a write that the replica has not applied, the stream waits for the replica."""
    with held_up(pair) as release:
        age = write(pair)
        with ExitStack() as stack:
            session = at_the_source(pair, database, stack)
            users = Users(session, SIZES).stream_users()
            got = [next(users).age for _ in range(500)]
            until(lambda: has_received(pair))
            pair.source.kill()
            try:
                timer = threading.Timer(1.0, release.set)
                timer.start()
                got += [user.age for user in users]
                timer.join()
                freshness = session.freshness
            finally:
                pair.source.start()

    assert [age] * 3000 == got
    assert freshness.is_kept
    assert freshness.position


def test_a_host_that_does_not_catch_up(pair: Replicated, database: Database) -> None:
    """The call ends UNAVAILABLE with a reason, well before its deadline."""
    with held_up(pair), ExitStack() as stack:
        write(pair)
        session = at_the_source(pair, database, stack, deadline_seconds=4)
        users = Users(session, SIZES).stream_users()
        for _ in range(500):
            next(users)
        until(lambda: has_received(pair))
        pair.source.kill()
        try:
            with pytest.raises(UnavailableError) as caught:
                list(users)
        finally:
            pair.source.start()

    assert caught.value.reason == "HOSTS_BEHIND"


def test_a_resume_reads_what_has_all(pair: Replicated, database: Database) -> None:
    """While one host is behind a token's position, the other one is read."""
    with held_up(pair), ExitStack() as stack:
        age = write(pair)
        source = at_the_source(pair, database, stack)
        for _ in range(10):
            with database.session(after=source.freshness) as session:
                ages = {user.age for user in Users(session).stream_users()}

                assert {age} == ages
                assert session.freshness
                assert session.freshness.is_kept


def test_a_token_without_a_position(database: Database) -> None:
    """It is taken, and what follows is not said to be as new."""
    with database.session(after=UNKNOWN) as session:
        assert Users(session).count() == 3000
        assert session.freshness
        assert (True, False) == (bool(session.freshness.position), session.freshness.is_kept)


def test_a_position_that_cannot_be_compared(database: Database) -> None:
    """The same holds of a token from another engine, or a forged one."""
    with database.session(after=Freshness(b"?")) as session:
        assert Users(session).count() == 3000
        assert session.freshness
        assert not session.freshness.is_kept


def test_a_snapshot_has_a_position(database: Database) -> None:
    """It is that of its read view, or a little newer."""
    with database.session(snapshot=True) as session:
        assert Users(session).count() == 3000
        assert session.freshness
        assert session.freshness.position
        with database.session(after=session.freshness) as another:
            assert Users(another).count() == 3000
            assert another.freshness
            assert another.freshness.is_kept


def has_received(pair: Replicated) -> bool:
    """Say whether the replica has all changes of the source, applied or not."""
    if pair.replica.program.engine == "mysql":
        (received,) = execute(
            pair.replica.url,
            "SELECT RECEIVED_TRANSACTION_SET FROM performance_schema.replication_connection_status",
        )
        ((executed,),) = execute(pair.source.url, "SELECT @@GLOBAL.gtid_executed")
        return bool(
            execute(pair.replica.url, f"SELECT GTID_SUBSET('{executed}', '{received[0]}')")[0][0]
        )
    ((position,),) = execute(pair.source.url, "SELECT @@GLOBAL.gtid_binlog_pos")
    shown = execute(pair.replica.url, "SHOW ALL SLAVES STATUS")[0]
    return position in shown
