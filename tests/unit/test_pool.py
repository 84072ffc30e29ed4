"""The connection pool: what it hands out, how long one waits, and what happens to broken connections."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from userstream_server.databases import pool as pool_module
from userstream_server.databases.call_connections import CallConnections
from userstream_server.databases.fair_queue import LeaseClass
from userstream_server.databases.pool import Pool
from userstream_server.databases.time_limits import CallLimits
from userstream_server.errors import CallCancelledError, OverloadedError, UnavailableError
from userstream_server.rows.sql import Query, Reach
from userstream_testing.waiting import until


class Connection:
    """What the pool keeps, without a database."""

    def __init__(self) -> None:
        self.used_at = time.monotonic()
        self.reusable = True
        self.lives = True
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_alive(self) -> bool:
        return self.lives


class Opener:
    """Opens connections and keeps them all."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        self.fails = False

    def __call__(self) -> Connection:
        if self.fails:
            raise UnavailableError("DATABASE_UNAVAILABLE", "away")
        self.opened.append(Connection())
        return self.opened[-1]


@pytest.fixture
def opener() -> Opener:
    """Return what opens connections."""
    return Opener()


@pytest.fixture
def pool(opener: Opener) -> Pool[Connection]:
    """Return a pool of two."""
    return Pool(opener, size=2, wait_seconds=0.2)


def test_connections_are_used_again(pool: Pool[Connection], opener: Opener) -> None:
    """The one used last goes out first, and none is opened before it is needed."""
    with pool.connection() as first, pool.connection() as second:
        assert (2, 2) == (pool.in_use, len(opener.opened))
    with pool.connection() as again:
        assert again is first
    assert second is not first
    assert (0, 2) == (pool.in_use, len(opener.opened))


def test_a_broken_connection_is_discarded(pool: Pool[Connection], opener: Opener) -> None:
    """After an exception, or marked as unusable, it is closed, and the next query gets another one."""
    with pytest.raises(ZeroDivisionError), pool.connection():
        raise ZeroDivisionError
    with pool.connection() as second:
        second.reusable = False
    with pool.connection() as third:
        assert [True, True, False] == [c.is_closed for c in opener.opened]
    assert third is opener.opened[2]


@pytest.mark.parametrize("lives", [True, False])
def test_an_idle_connection_is_pinged(
    pool: Pool[Connection],
    monkeypatch: pytest.MonkeyPatch,
    lives: bool,  # noqa: FBT001
) -> None:
    """One that the database has closed meanwhile is replaced without anybody noticing."""
    monkeypatch.setattr(pool_module, "_IDLE_CHECK_SECONDS", 0)
    with pool.connection() as first:
        pass
    first.lives = lives
    with pool.connection() as next_one:
        assert lives is (next_one is first)
        assert lives is not first.is_closed


def test_waiting_has_an_end(pool: Pool[Connection]) -> None:
    """With every connection out a query is refused after the wait, and counted."""
    with pool.connection(), pool.connection():
        began = time.monotonic()
        with pytest.raises(OverloadedError) as caught, pool.connection(kind=LeaseClass.SCAN):
            pass
        took = time.monotonic() - began

    assert caught.value.reason == "POOL_EXHAUSTED"
    assert 0.2 <= took < 2
    assert pool.waits.count()["scan", "refused"] == 1
    assert pool.waits.seconds()["scan"] >= 0.2


def test_the_next_one_is_served(opener: Opener) -> None:
    """A connection that comes back goes to who waits, without another being opened."""
    pool: Pool[Connection] = Pool(opener, size=1, wait_seconds=10)
    with ThreadPoolExecutor() as threads:
        with pool.connection("a") as first:
            other = threads.submit(lambda: _use(pool))
            until(lambda: pool.waiting == 1)
            waiting = {"lookup": 1, "filtered": 0, "scan": 0, "snapshot": 0}
            assert (1, waiting) == (pool.callers_waiting, pool.waiting_by_class())
        assert other.result(10) is first

    assert (0, 0) == (pool.waiting, pool.in_use)
    assert pool.waits.count()["lookup", "served"] == 1


def _use(pool: Pool[Connection]) -> Connection:
    with pool.connection("b") as connection:
        return connection


def test_a_failure_to_open_frees_the_place(pool: Pool[Connection], opener: Opener) -> None:
    """When the database is away, each attempt fails by itself, and none keeps a place."""
    opener.fails = True
    for _ in range(5):
        with pytest.raises(UnavailableError), pool.connection():
            pass
    opener.fails = False
    with pool.connection(), pool.connection():
        assert pool.in_use == 2


def test_cancelling_a_wait(pool: Pool[Connection]) -> None:
    """A cancelled query stops waiting at once and gives up its place in the queue; one served stays served."""
    limits = CallLimits(None, 60)
    connections = CallConnections(pool, "a", limits)
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        held = [stack.enter_context(pool.connection()) for _ in range(2)]
        pool_waiter = threads.submit(lambda: list(_query(connections, Reach.ROWS)))
        until(lambda: pool.waiting == 1)
        began = time.monotonic()
        limits.cancel()
        error = pool_waiter.exception(10)
        took = time.monotonic() - began
        assert pool.waiting == 0

    assert isinstance(error, CallCancelledError)
    assert took < 0.15
    assert not any(c.is_closed for c in held)
    with pytest.raises(CallCancelledError):
        list(_query(connections, Reach.ROWS))
    assert pool.in_use == 0
    assert pool.waits.count()["lookup", "cancelled"] == 2


def _query(
    connections: CallConnections[Connection], reach: Reach, seconds: float = 0
) -> Iterator[str]:
    """Yield the class in which a query runs."""
    with connections.for_query(Query("", reach=reach)):
        time.sleep(seconds)
        (kind,) = (name for name, n in connections._pool.in_use_by_class().items() if n)
        yield kind


def test_classes_of_queries(pool: Pool[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole ranges are scans and keys lookups; a filtered query counts as what the last one proved to be."""
    from userstream_server.databases import call_connections

    monkeypatch.setattr(call_connections, "_QUICK_SECONDS", 0.05)
    connections = CallConnections(pool, "a", CallLimits(None, 60))
    unknown = Reach.UNKNOWN
    steps = [(unknown, 0.0), (unknown, 0.0), (Reach.RANGE, 0.0), (Reach.ROWS, 0.0)]
    steps += [(unknown, 0.1), (unknown, 0.0), (unknown, 0.0)]
    seen = [kind for reach, seconds in steps for kind in _query(connections, reach, seconds)]

    assert ["filtered", "lookup", "scan", "lookup", "lookup", "scan", "lookup"] == seen


def test_closing(pool: Pool[Connection], opener: Opener) -> None:
    """Idle connections are closed at once, those in use when they come back."""
    with pool.connection() as used:
        with pool.connection():
            pass
        pool.close()
        assert [False, True] == [c.is_closed for c in opener.opened]
    assert used.is_closed


def test_many_threads(opener: Opener) -> None:
    """Two hundred threads over four connections: never more are out, all are served, none is lost."""
    pool: Pool[Connection] = Pool(opener, size=4, wait_seconds=60)
    users: dict[int, int] = {}
    lock = threading.Lock()

    def work(number: int) -> None:
        kind = LeaseClass.SCAN if number % 3 == 0 else LeaseClass.LOOKUP
        for _ in range(50):
            with pool.connection(str(number % 7), kind) as connection:
                with lock:
                    users[id(connection)] = users.get(id(connection), 0) + 1
                    assert users[id(connection)] == 1
                with lock:
                    users[id(connection)] -= 1

    _run_all(200, work)

    assert len(opener.opened) <= 4
    assert (0, 0, 0) == (pool.in_use, pool.waiting, pool.callers_waiting)


def _run_all(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(work, number) for number in range(count)]:
            done.result(60)
