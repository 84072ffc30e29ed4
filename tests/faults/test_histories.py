"""Fault 6: writers beside a scan. Histories of writes, and a checker that holds streams against them.

The checker asks what etcd's asks of its watches: in order, nothing twice, nothing missing that was there
all along, and nothing that was never there.
"""

import random
import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Self
from uuid import UUID

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import User, UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.admin import admin_connection, execute
from userstream_testing.calls import stub_for
from userstream_testing.client_runs import PATIENT
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess, serving

ROWS = 1_500
State = dict[str, int]
"""The age of each user_id; updates change it."""


@dataclass
class Write:
    """One committed write, and when it was between sent and answered.

    Attributes:
        user_id: Whose row.
        age: Its new age; None when it was deleted.
        begin: Before the statement was sent.
        end: After the answer came.
    """

    user_id: str
    age: int | None
    begin: float
    end: float


@dataclass
class Writer:
    """Inserts, updates and deletes at random, one after another, and keeps the account."""

    url: str
    seed: str
    state: State
    writes: list[Write] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._now = dict(self.state)

    def __enter__(self) -> Self:
        self._thread.start()
        while len(self.writes) < 5:
            sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(admin_connection(self.url)) as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                statement, values, write = self._next()
                write.begin = monotonic()
                cursor.execute(statement, values)
                write.end = monotonic()
                self.writes.append(write)

    def _next(self) -> tuple[str, tuple[Any, ...], Write]:
        kind, age = self._rng.choice("iud"), self._rng.randrange(1, 120)
        if kind == "i" or len(self._now) < 100:
            user_id = str(UUID(int=self._rng.getrandbits(128), version=4))
            self._now[user_id] = age
            values: tuple[Any, ...] = (user_id, "New", f"{user_id}@example.com", age)
            return (
                "INSERT INTO user_data VALUES (%s, %s, %s, %s)",
                values,
                Write(user_id, age, 0, 0),
            )
        user_id = self._rng.choice(list(self._now))
        if kind == "u":
            self._now[user_id] = age
            statement = "UPDATE user_data SET age = %s WHERE user_id = %s"
            return statement, (age, user_id), Write(user_id, age, 0, 0)
        del self._now[user_id]
        return "DELETE FROM user_data WHERE user_id = %s", (user_id,), Write(user_id, None, 0, 0)


def check_live(start: State, writes: list[Write], begin: float, end: float, got: State) -> None:
    """Hold a LIVE stream, read from `begin` to `end`, against what was written meanwhile."""
    before, meanwhile = dict(start), list[Write]()
    for write in writes:
        if write.end < begin:
            _apply(before, write)
        elif write.begin < end:
            meanwhile.append(write)
    possible: dict[str, set[int | None]] = {user_id: {age} for user_id, age in before.items()}
    for write in meanwhile:
        possible.setdefault(write.user_id, {None}).add(write.age)
    lived_throughout = {user_id for user_id, ages in possible.items() if None not in ages}

    assert lived_throughout <= got.keys(), "a row that lived throughout is missing"
    wrong = [user_id for user_id, age in got.items() if age not in possible.get(user_id, set())]
    assert not wrong, "a row, or a state of it, that was never there"


def check_snapshot(start: State, writes: list[Write], begin: float, end: float, got: State) -> None:
    """Find the one moment between `begin` and `end` at which the table was exactly what came."""
    state = dict(start)
    first = bisect_left([write.end for write in writes], begin)
    for write in writes[:first]:
        _apply(state, write)
    for write in writes[first:]:
        if state == got:
            return
        if write.begin > end:
            break
        _apply(state, write)
    assert state == got, "a snapshot that is no state the table was ever in"


def _apply(state: State, write: Write) -> None:
    if write.age is None:
        state.pop(write.user_id, None)
    else:
        state[write.user_id] = write.age


@pytest.fixture(scope="module")
def url(mysql_url: str) -> Iterator[str]:
    """Yield a database whose rows the histories change."""
    rng = random.Random(5)
    made = f"{mysql_url}/userstream_faults_histories"
    ids = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(ROWS)]
    seed_users(DatabaseUrl.parse(made), [UserRow(i, "Old", f"{i}@example.com", 50) for i in ids])
    yield made
    execute(mysql_url, "DROP DATABASE userstream_faults_histories")


@pytest.fixture(scope="module")
def server(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server that reads in its smallest chunks, so that writes fall between them."""
    with serving(url, tmp_path_factory.mktemp("histories"), CHUNK_ROWS_MAX=250) as process:
        yield process


def scan_broken(server: ServerProcess) -> tuple[float, float, list[User]]:
    """Stream everybody LIVE with our client, over connections that break; the same returned."""
    with (
        FaultProxy(server.port) as proxy,
        UserStreamClient(proxy.target, resume=PATIENT) as client,
    ):
        proxy.plans.extend(Plan(cut_after=after) for after in range(9_000, 90_000, 9_000))
        begin = monotonic()
        stream = client.stream_users(max_users_per_message=50)
        users = list(stream)
        assert stream.receipt is not None
        assert stream.receipt.resumed_count > 2
        return begin, monotonic(), users


def scan(server: ServerProcess, consistency: str) -> tuple[float, float, list[Any]]:
    """Stream everybody, slowly; return when it began and ended, and the users."""
    if consistency == "LIVE and broken":
        return scan_broken(server)
    users: list[Any] = []
    kept = pb.Consistency.Value(f"CONSISTENCY_{consistency}")
    request = pb.StreamUsersRequest(consistency=kept, max_users_per_message=50)
    with stub_for(server.target) as stub:
        begin = monotonic()
        for message in stub.StreamUsers(request, timeout=60):
            users += message.users
            sleep(0.002)
        assert message.receipt.user_count == len(users)
        return begin, monotonic(), users


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("consistency", ["LIVE", "LIVE and broken", "SNAPSHOT"])
def test_writers_beside_a_scan(
    url: str, server: ServerProcess, faults: FaultReport, consistency: str, rounds: int
) -> None:
    """Whatever is written meanwhile, a LIVE stream holds what lived throughout, a SNAPSHOT one single state.

    A LIVE stream that was broken and resumed holds to the same.
    """
    check = check_snapshot if consistency == "SNAPSHOT" else check_live
    for number in range(rounds):
        start = {i: int(age) for i, age in execute(url, "SELECT user_id, age FROM user_data")}
        with faults.round(f"6 inserts, updates and deletes under a {consistency} scan"):
            with Writer(url, f"{consistency} {number} of {rounds}", start) as writer:
                begin, end, users = scan(server, consistency)
            keys = [user.user_id for user in users]
            got = {user.user_id: user.age for user in users}

            assert keys == sorted(set(keys)), "out of order, or twice"
            assert len(writer.writes) > 20
            check(start, writer.writes, begin, end, got)


OLD = {"a": 1, "b": 2, "c": 3}
GONE, NEW = Write("b", None, 10, 11), Write("d", 4, 12, 13)


@pytest.mark.parametrize(
    ("begin", "end", "got"),
    [
        (20.0, 30.0, {"a": 1, "c": 3}),  # d came before and lived throughout
        (5.0, 9.0, {"a": 1, "c": 3, "b": 9}),  # b never was 9
        (20.0, 30.0, {"a": 1, "b": 2, "c": 3, "d": 4}),  # b was gone before
        (5.0, 30.0, {"a": 1, "d": 4}),  # c lived throughout
    ],
)
def test_the_checker_finds_faults(begin: float, end: float, got: State) -> None:
    """The checker of LIVE streams refuses what must not be."""
    with pytest.raises(AssertionError):
        check_live(OLD, [GONE, NEW], begin, end, got)


def test_the_checker_of_snapshots_finds_faults() -> None:
    """A mixture of two states is none; the state before, between and after a stream's writes is one."""
    for got in ({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}, {"a": 1, "c": 3, "d": 4}):
        check_snapshot(OLD, [GONE, NEW], 5, 30, got)
    with pytest.raises(AssertionError):
        check_snapshot(OLD, [GONE, NEW], 5, 30, {"a": 1, "b": 2, "c": 3, "d": 4})
    with pytest.raises(AssertionError):
        check_snapshot(OLD, [GONE, NEW], 20, 30, {"a": 1, "b": 2, "c": 3})
