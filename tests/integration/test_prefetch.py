"""Prefetch for fast consumers: the same users, and nothing held when they stop."""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import ContextVar
from typing import Any, cast

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.database import Database
from userstream_server.errors import CallCancelledError
from userstream_server.rows.batches import DecodeUsers, UserBatch
from userstream_server.rows.generators import Users
from userstream_server.rows.keyset import ChunkSizes
from userstream_server.rows.scan import Scan
from userstream_server.rows.session import Session
from userstream_server.rows.sql import Query
from userstream_server.rows.types import UserRow
from userstream_server.rpc.cancellation import SessionInterrupter
from userstream_server.rpc.service import UserService
from userstream_testing.admin import open_url

SIZES = ChunkSizes(first_rows=3, max_rows=50)
call = ContextVar("call", default="none")


class Watched(DecodeUsers):
    """Batches of five users; counts the users read and the batches prefetched; may be told to wait or fail."""

    def __init__(self) -> None:
        super().__init__(batch_rows=5)
        self.users_read = 0
        self.ahead = 0
        self.calls: set[str] = set()
        self.fail_at = 10**9
        self.waits = False
        self.waiting = threading.Event()
        self.go_on = threading.Event()

    def read(self, session: Session, query: Query) -> Generator[UserBatch[list[UserRow]]]:
        for batch in super().read(session, query):
            self._note(batch.user_count)
            yield batch

    def _note(self, rows: int) -> None:
        self.users_read += rows
        self.calls.add(call.get())
        self.ahead += threading.current_thread() is not threading.main_thread()
        if self.users_read >= self.fail_at:
            raise ZeroDivisionError
        if self.waits and self.ahead:
            self.waiting.set()
            assert self.go_on.wait(20)


class Caller:
    """The part of gRPC's context that a stream needs."""

    def time_remaining(self) -> None:
        """No deadline."""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def add_callback(self, _: object) -> bool:
        return True


class Counted(ThreadPoolExecutor):
    """Threads that count what they are given to do."""

    given = 0

    def submit(self, *what: Any, **more: Any) -> Any:
        self.given += 1
        return super().submit(*what, **more)


@pytest.fixture
def readers() -> Iterator[ThreadPoolExecutor]:
    """Yield two threads that prefetch."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def database(shared_url: str) -> Iterator[Database]:
    """Yield the seeded database with a pool of two."""
    opened = open_url(shared_url, pool_size=2, pool_wait_seconds=0.5, snapshot_views=1)
    yield opened
    opened.close()


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("limit", [None, 0, 2, 3, 15, 16, 65, 1000, 1234, 5000])
def test_the_same_users_come(
    database: Database,
    readers: ThreadPoolExecutor,
    users: list[UserRow],
    limit: int | None,
    snapshot: bool,  # noqa: FBT001
) -> None:
    """Prefetch changes nothing in what arrives, whatever the limit cuts off."""
    with database.session(snapshot=snapshot) as session:
        stream = Users(session, SIZES, readers).stream_users(Scan(limit=limit))

        assert users[:limit] == list(stream)


def test_fast_consumers_get_prefetch(database: Database, readers: ThreadPoolExecutor) -> None:
    """Later chunks are read in another thread, while the consumer has the one before."""
    reader = Watched()
    with database.session() as session:
        list(Users(session, SIZES, readers).stream_users(Scan(), reader))

    assert reader.ahead > 100


def test_the_end_may_be_prefetched(
    database: Database, readers: ThreadPoolExecutor, users: list[UserRow]
) -> None:
    """Where the last chunk is full, the query that finds no more users may run in the other thread."""
    sizes = ChunkSizes(first_rows=2, max_rows=20)
    scan = Scan(up_to=users[89].user_id)  # 2, 8, then 20 at a time
    reader = Watched()
    with database.session() as session:
        batches = list(Users(session, sizes, readers).stream_users(scan, reader))

    assert users[:90] == [user for batch in batches for user in batch.users]
    assert reader.ahead > 3


def test_prefetch_belongs_to_the_call(database: Database, readers: ThreadPoolExecutor) -> None:
    """The other thread sees the call's context: its log fields, its stats, its span."""
    call.set("this one")
    reader = Watched()
    with database.session() as session:
        list(Users(session, SIZES, readers).stream_users(Scan(), reader))

    assert reader.ahead
    assert {"this one"} == reader.calls


def test_nothing_is_prefetched_at_first(database: Database, readers: ThreadPoolExecutor) -> None:
    """A consumer that stalls in its first or second chunk costs one chunk."""
    reader = Watched()
    with database.session() as session:
        stream = Users(session, SIZES, readers).stream_users(Scan(), reader)
        for _ in range(2):  # the first chunk is one batch of three, the second has twelve users
            next(stream)

        assert reader.users_read == 3 + 12
        stream.close()


def test_a_stalled_consumer_holds_no_connection(
    database: Database, readers: ThreadPoolExecutor
) -> None:
    """A prefetched chunk returns its connection although nobody asks for its rows."""
    reader = Watched()
    with database.session() as session:
        stream = Users(session, SIZES, readers).stream_users(Scan(), reader)
        while not reader.ahead:
            next(stream)
        readers.shutdown()  # waits for the chunk

        assert database.pool.in_use == 0
        stream.close()


def test_busy_readers_keep_nobody_waiting(
    database: Database, readers: ThreadPoolExecutor, users: list[UserRow]
) -> None:
    """While every reader waits on behalf of others, a stream reads for itself, and finds its end itself."""
    over = threading.Event()
    for _ in range(2):
        readers.submit(over.wait)
    sizes = ChunkSizes(first_rows=2, max_rows=20)
    scan = Scan(up_to=users[89].user_id)  # 2, 8, then 20 at a time: the last chunk is full
    with database.session() as session:
        stream = Users(session, sizes, readers).stream_users(scan)
        try:
            assert users[:90] == list(stream)
        finally:
            over.set()


def test_closing_waits_for_the_reader(database: Database, readers: ThreadPoolExecutor) -> None:
    """A stream closed during prefetch ends when the chunk was read and its connection returned."""
    reader = Watched()
    reader.waits = True
    with database.session() as session:
        stream = Users(session, SIZES, readers).stream_users(Scan(), reader)
        for _ in stream:
            if reader.users_read > 15 and reader.waiting.wait(20):
                break
        threading.Timer(0.2, reader.go_on.set).start()
        stream.close()

        assert reader.go_on.is_set()
        assert database.pool.in_use == 0


def test_a_failure_ahead_reaches_the_consumer(
    database: Database, readers: ThreadPoolExecutor, users: list[UserRow]
) -> None:
    """What was read before the failure is delivered, then the failure is raised."""
    reader = Watched()
    reader.fail_at = 200
    got: list[UserRow] = []
    with database.session() as session:
        batches = Users(session, SIZES, readers).stream_users(Scan(), reader)
        with pytest.raises(ZeroDivisionError):
            got.extend(user for batch in batches for user in batch.users)

    assert got == users[: len(got)]
    assert len(got) > 100
    assert database.pool.in_use == 0


def test_interrupt_ends_a_reader(database: Database, readers: ThreadPoolExecutor) -> None:
    """An interrupted session ends the consumer with CallCancelledError, wherever the reading happens."""
    reader = Watched()
    with database.session() as session:
        stream = Users(session, SIZES, readers).stream_users(Scan(), reader)
        while not reader.ahead:
            next(stream)
        session.interrupt()
        with pytest.raises(CallCancelledError):
            list(stream)

    assert database.pool.in_use == 0


@pytest.mark.parametrize(
    ("message_users", "is_ahead"), [(0, True), (1, False), (63, False), (64, True), (500, True)]
)
def test_small_messages_are_not_prefetched(
    database: Database, users: list[UserRow], message_users: int, *, is_ahead: bool
) -> None:
    """Where sending is most of the work, nobody reads beside it; the users are the same."""
    interrupter, readers = SessionInterrupter(), Counted(2)
    service = UserService(database, interrupter, sizes=SIZES, readers=readers, message_bytes=4096)
    request = pb.StreamUsersRequest(max_users_per_message=message_users)
    with closing(interrupter), readers:
        messages = list(service.StreamUsers(request, cast("grpc.ServicerContext", Caller())))
    received = [u.user_id for m in messages for u in pb.StreamUsersResponse.FromString(m).users]

    assert [user.user_id for user in users] == received
    assert is_ahead == bool(readers.given)
