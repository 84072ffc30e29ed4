"""Consumers that rest for longer than SEND_TIMEOUT_SECONDS: what they are told, and that they can go on."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import AsyncUserStreamClient, UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_server.seeding.synthetic import synthetic_users
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.scrapes import settled
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.waiting import until

ROWS = 20_000
"""Of half a kilobyte: more than gRPC's buffers at both ends take from a server whose consumer rests."""
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def server(mysql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server over a MySQL with long rows, which waits a second for its consumers."""
    users = synthetic_users(ROWS, random_seed=3)
    long = [
        UserRow(user.user_id, user.name.ljust(240, "x"), f"{'y' * 200}@x.example", user.age)
        for user in users
    ]
    url = f"{mysql_url}/userstream_test_{secrets.token_hex(6)}"
    seed_users(DatabaseUrl.parse(url), long)
    limits = {"SEND_TIMEOUT_SECONDS": 1, "METRICS_LISTEN": "127.0.0.1:0"}
    with serving(url, tmp_path_factory.mktemp("stalls"), **limits) as running:
        yield running
    execute(mysql_url, f"DROP DATABASE {url.rpartition('/')[2]}")


def stalls(server: ServerProcess) -> int:
    return len(server.events("stalled_call_cancelled"))


def test_what_a_stalled_consumer_is_told(server: ServerProcess) -> None:
    """Its stream ends RESOURCE_EXHAUSTED with the reason, in the text, in its log line and in the metrics."""
    before = settled(server)
    with stub_for(server.target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest())
        next(call)
        until(lambda: settled(server).since(before).total("userstream_stalls_cancelled_total"))
        error = rich_error(call)
    seen = settled(server).since(before)
    *_, line = server.events("call")

    assert (error.code, error.message.split()[0]) == (EXHAUSTED, "CONSUMER_STALLED:")
    assert (line["status"], line["reason"]) == ("RESOURCE_EXHAUSTED", "CONSUMER_STALLED")
    assert 0 < line["rows"] < ROWS
    assert seen.total("userstream_call_errors_total", reason="CONSUMER_STALLED") == 1


def read_with_a_rest(server: ServerProcess, rest: Callable[[], None]) -> tuple[int, int]:
    """Read everything with a rest after the first user; return the users and how often it was resumed."""
    with UserStreamClient(server.target) as client:
        stream = client.stream_users()
        count = 0
        for _ in stream:
            count += 1
            if count == 1:
                rest()
        assert stream.receipt is not None
        return count, stream.receipt.resumed_count


async def read_with_a_rest_async(
    server: ServerProcess, rest: Callable[[], None]
) -> tuple[int, int]:
    """Do the same with the client for asyncio."""
    async with (
        AsyncUserStreamClient(server.target) as client,
        aclosing(client.stream_users()) as stream,
    ):
        count = 0
        async for _ in stream:
            count += 1
            if count == 1:
                await asyncio.to_thread(rest)
        assert stream.receipt is not None
        return count, stream.receipt.resumed_count


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_our_client_may_rest(server: ServerProcess, kind: str) -> None:
    """A loop that stops for longer than the server waits goes on where it was, and every user comes once."""
    before = stalls(server)

    def rest() -> None:
        until(lambda: stalls(server) > before)

    read = {
        "threads": read_with_a_rest,
        "asyncio": lambda *given: asyncio.run(read_with_a_rest_async(*given)),
    }

    assert (ROWS, 1) == read[kind](server, rest)
