"""What docs/faq.md claims, on real servers and a real MySQL."""

import random
import re
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub
from userstream_client import UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.admin import execute
from userstream_testing.repository import ROOT
from userstream_testing.server_process import ServerProcess

PAGE = (ROOT / "docs/faq.md").read_text("utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SQL = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class _Megabytes(grpc.GenericRpcHandler):
    """Answers /t/One with a message of 5 MB, and /t/Many with as much in small ones."""

    def service(self, details: Any) -> Any:
        sizes = [5_000_000] if details.method == "/t/One" else [100_000] * 50
        return grpc.unary_stream_rpc_method_handler(lambda *_: (bytes(size) for size in sizes))


@pytest.fixture
def megabytes() -> Iterator[str]:
    """Yield the address of a plain gRPC server."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((_Megabytes(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


def received(channel: grpc.Channel, method: str) -> int:
    with channel:
        call: Any = channel.unary_stream(method)
        return sum(len(message) for message in call(b""))


def test_the_limit_is_that_of_one_message(megabytes: str) -> None:
    """5 MB fail in one message and pass in fifty, or with the option that the page shows."""
    with pytest.raises(grpc.RpcError) as refused:
        received(grpc.insecure_channel(megabytes), "/t/One")
    raised: dict[str, Any] = {"grpc": grpc, "target": megabytes}
    exec(PYTHON[0], raised)  # noqa: S102 - the page's own code

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "Received message larger than max (5000000 vs. 4194304)" in str(refused.value.details())
    assert 5_000_000 == received(grpc.insecure_channel(megabytes), "/t/Many")
    assert 5_000_000 == received(raised["channel"], "/t/One")


@pytest.fixture
def long_users(mysql_database: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a server over 20,000 users: short ones, then 10,000 of the longest that the table holds."""
    short = [UserRow(f"a{number:05}", "A", "a@b.example", 1) for number in range(10_000)]
    long = [UserRow(f"b{number:05}", "😀" * 255, "😀" * 255, 99) for number in range(10_000)]
    seed_users(DatabaseUrl.parse(mysql_database), short + long)
    with ServerProcess({"USERSTREAM_DATABASE_URL": mysql_database}, folder=tmp_path) as server:
        yield server


def test_messages_of_a_stream_stay_below_the_limit(long_users: ServerProcess) -> None:
    """With a client that has gRPC's own limit; a batch of the longest users does not, and our client takes it."""
    with grpc.insecure_channel(long_users.target) as channel:
        stub = UserServiceStub(channel)
        sizes = [message.ByteSize() for message in stub.StreamUsers(pb.StreamUsersRequest())]
        with pytest.raises(grpc.RpcError, match=r"larger than max \(20\d{6} vs\. 4194304\)"):
            list(stub.BatchUsers(pb.BatchUsersRequest(batch_size=10_000)))
    with UserStreamClient(long_users.target) as client:
        (batch,) = client.batch_users(10_000)

    assert sum(sizes) > 20_000_000
    assert max(sizes) < 4 * 1024 * 1024
    assert 10_000 == len(batch)


class _Lost(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


def test_the_loop_that_resumes_loses_and_repeats_nothing() -> None:
    """The page's function, over calls that break after each message."""

    def call(after: str) -> Iterator[Any]:
        ids = [f"{number:02}" for number in range(10) if f"{number:02}" > after]
        for start in range(0, len(ids), 3):
            yield SimpleNamespace(rows=[SimpleNamespace(id=key) for key in ids[start : start + 3]])
            if start + 3 < len(ids):
                raise _Lost

    defined = {"grpc": grpc, "random": random, "time": SimpleNamespace(sleep=lambda _: None)}
    exec(PYTHON[1], defined)  # noqa: S102 - the page's own code

    assert [f"{number:02}" for number in range(10)] == [row.id for row in defined["read"](call)]  # type: ignore[operator]


def test_the_client_pauses_while_the_server_restarts(
    mysql_database: str, users: list[UserRow], tmp_path: Path
) -> None:
    """The page's loop prints each user once, over a server that is killed while the loop runs."""
    seed_users(DatabaseUrl.parse(mysql_database), users)
    settings = {"USERSTREAM_DATABASE_URL": mysql_database, "USERSTREAM_MESSAGE_BYTES": "1024"}
    with (
        ServerProcess(settings, folder=tmp_path) as server,
        restarted_once(server, settings, tmp_path) as printed,
    ):
        named = {"UserStreamClient": UserStreamClient, "target": server.target, "print": printed}
        exec(PYTHON[2], named)  # noqa: S102 - the page's own code

    assert [user.user_id for user in users] == printed.lines


class _RestartAtFirstLine:
    """Stands in for `print`; kills the server at the first line, and starts it again on the same port."""

    def __init__(self, server: ServerProcess, settings: dict[str, str], folder: Path) -> None:
        self.lines: list[str] = []
        self.second: ServerProcess | None = None
        self._start = server, settings, folder

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self.second is None:
            server, settings, folder = self._start
            server.kill()
            listen = {"USERSTREAM_LISTEN": server.target}
            self.second = ServerProcess(settings | listen, folder=folder)


@contextmanager
def restarted_once(
    server: ServerProcess, settings: dict[str, str], folder: Path
) -> Iterator[_RestartAtFirstLine]:
    printed = _RestartAtFirstLine(server, settings, folder)
    yield printed
    assert printed.second is not None
    printed.second.kill()


def paged(url: str, sql: str, first: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Read a table page by page with one of the page's statements; its ? are the last row's columns."""
    columns = re.findall(r"(\w+) [>=] \?", sql)
    rows: list[tuple[Any, ...]] = []
    values = dict(zip(("user_id", "name"), first, strict=True))
    while page := execute(url, filled(sql, [values[column] for column in columns])):
        rows += page
        values = {"user_id": page[-1][0], "name": page[-1][1]}
    return rows


def filled(sql: str, values: list[str]) -> str:
    given = iter(values)
    return re.sub(r"\?", lambda _: "'{}'".format(next(given).replace("'", "''")), sql)


def test_both_statements_read_each_user_once(mysql_database: str, users: list[UserRow]) -> None:
    """By the key alone, and by a name that many users have, in order."""
    namesakes = [user._replace(name=f"N{number % 7}") for number, user in enumerate(users)]
    seed_users(DatabaseUrl.parse(mysql_database), namesakes)
    execute(mysql_database, "CREATE INDEX by_name ON user_data (name, user_id)")
    by_key, by_name = (paged(mysql_database, sql, ("", "")) for sql in SQL)

    assert [user.user_id for user in users] == [row[0] for row in by_key]
    assert len(users) == len({row[0] for row in by_name}) == len(by_name)
    assert all((a[1], a[0]) < (b[1], b[0]) for a, b in pairwise(by_name))
    (plan,) = execute(mysql_database, "EXPLAIN " + filled(SQL[1], ["N6", "N6", "8"]))
    assert "range" in str(plan)
    assert "by_name" in str(plan)
