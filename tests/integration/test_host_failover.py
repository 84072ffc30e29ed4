"""A host that fails under a call: another one goes on, and the caller sees a pause."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any

import pytest
from userstream_server.databases.database import Database
from userstream_server.databases.mysql.cluster_session import ClusterSession
from userstream_server.errors import CallCancelledError, UnavailableError
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_testing.admin import admin_connection, execute, open_url
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.replica import Replicated
from userstream_testing.waiting import until

NAME = "userstream_hosts"
SIZES = ChunkSizes(first_rows=100, max_rows=100)


@pytest.fixture
def database(pair: Replicated) -> Iterator[Database]:
    """Yield both hosts with the default time-outs, and leave both servers well."""
    with closing(open_url(pair.url(NAME), replica_lag_seconds_max=600)) as opened:
        opened.check()
        yield opened
        until(lambda: all(host.readable for host in opened.hosts()))


@pytest.fixture
def user_ids(pair: Replicated) -> list[str]:
    """Return the user_ids in order."""
    found = execute(pair.source.url, f"SELECT user_id FROM {NAME}.user_data ORDER BY user_id")
    return [row[0] for row in found]


def server_of(pair: Replicated, session: Any) -> PrivateServer:
    """Return the server that a session reads from."""
    assert isinstance(session, ClusterSession)
    assert session._host is not None
    servers = (pair.source, pair.replica)
    return next(server for server in servers if server.port == session._host.address[1])


@contextmanager
def killed(server: PrivateServer) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: PrivateServer) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def disconnected(server: PrivateServer) -> Iterator[None]:
    """End the connections that read users, as an administrator may; the server lives on."""
    shown = execute(
        server.url, f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{NAME}'"
    )
    with closing(admin_connection(server.url)) as connection, connection.cursor() as cursor:
        for (number,) in shown:
            cursor.execute(f"KILL {number}")
    yield


FAULTS = [killed, frozen, disconnected]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_goes_on(
    pair: Replicated, database: Database, user_ids: list[str], fault: Callable[..., Any]
) -> None:
    """Every user comes once, and the longest pause is at most 3 s."""
    got: list[str] = []
    with database.session() as session:
        users = Users(session, SIZES).stream_users()
        got += [next(users).user_id for _ in range(500)]
        with fault(server_of(pair, session)):
            began = monotonic()
            got.append(next(users).user_id)
            pause = monotonic() - began
            got += [user.user_id for user in users]

    assert user_ids == got
    assert pause < 3


@pytest.mark.parametrize("fault", [killed, frozen])
def test_a_snapshot_ends(pair: Replicated, database: Database, fault: Callable[..., Any]) -> None:
    """Its read view is gone with its host."""
    with database.session(snapshot=True) as session:
        users = Users(session, SIZES).stream_users()
        for _ in range(500):
            next(users)
        with fault(server_of(pair, session)):
            with pytest.raises(UnavailableError) as caught:
                list(users)
            with database.session(snapshot=True) as another:
                assert Users(another).count() == 3000

    assert caught.value.reason == "DATABASE_UNAVAILABLE"


def test_a_cancelled_call_stays_cancelled(pair: Replicated, database: Database) -> None:
    """A call that is cancelled while its host is frozen ends as soon as that is noticed, and reads nowhere else."""
    with database.session() as session:
        users = Users(session, SIZES).stream_users()
        for _ in range(500):
            next(users)
        with frozen(server_of(pair, session)):
            cancel = threading.Timer(0.3, session.interrupt)
            cancel.start()
            with pytest.raises(CallCancelledError):
                list(users)
            cancel.join()


def test_a_query_that_was_killed_ends_its_call(pair: Replicated, database: Database) -> None:
    """KILL QUERY is the administrator's wish: the query does not run again elsewhere."""
    with database.session() as session:
        users = Users(session)
        assert users.count() == 3000
        server = server_of(pair, session)
        with (
            closing(admin_connection(f"{server.url}/{NAME}")) as blocker,
            blocker.cursor() as cursor,
        ):
            cursor.execute("LOCK TABLES user_data WRITE")
            waiting = f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{NAME}' AND state LIKE '%lock%'"

            def kill() -> None:
                until(lambda: execute(server.url, waiting))
                for (number,) in execute(server.url, waiting):
                    execute(server.url, f"KILL QUERY {number}")

            killer = threading.Thread(target=kill)
            killer.start()
            with pytest.raises(UnavailableError) as caught:
                users.count()
            killer.join()
            cursor.execute("UNLOCK TABLES")

    assert caught.value.reason == "QUERY_KILLED"
