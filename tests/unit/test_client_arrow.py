"""Streams as Arrow columns: the same users, verified and resumed in the same way, for both clients."""

import asyncio
import builtins
import sys
from collections.abc import Callable
from typing import Any

import grpc
import pyarrow as pa
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import AsyncUserStreamClient, OutOfOrderError, UserStreamClient
from userstream_client import _decoding as decoding
from userstream_client._native_users import load_decoder
from userstream_testing.client_runs import QUICK
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    made_users,
    messages_of,
    receipt_of,
    scan_script,
)

AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="DATABASE_AWAY")
USERS = made_users(7)
USERS[3].name = "Grüße 🌻"
EXPECTED = [(user.user_id, user.name, user.email, user.age) for user in USERS]
Reader = Callable[[str], tuple[pa.Table, Any]]


def read_sync(target: str) -> tuple[pa.Table, Any]:
    with UserStreamClient(target, resume=QUICK) as client:
        stream = client.stream_users()
        return stream.to_arrow(), stream.receipt


def read_async(target: str) -> tuple[pa.Table, Any]:
    async def read() -> tuple[pa.Table, Any]:
        async with AsyncUserStreamClient(target, resume=QUICK) as client:
            stream = client.batch_users(2)
            return await stream.to_arrow(), stream.receipt

    return asyncio.run(read())


@pytest.fixture(params=["compiled", "protobuf"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Decode with the compiled decoder, and without it."""
    kind: str = request.param
    if kind == "protobuf":
        monkeypatch.setattr("userstream_client.arrow.load_decoder", lambda: None)
        monkeypatch.setattr(decoding, "load_decoder", lambda: None)
    elif load_decoder() is None:
        pytest.skip("no compiler here, so there is no compiled decoder")
    return kind


@pytest.mark.parametrize("read", [read_sync, read_async])
@pytest.mark.usefixtures("decoder")
def test_table_over_a_break(read: Reader) -> None:
    """A broken stream resumes; the table has each user once, and the receipt is verified."""
    with ScriptedServer(scan_script(USERS, AWAY, messages=2), scan_script(USERS)) as server:
        table, receipt = read(server.target)

    table.validate(full=True)
    assert EXPECTED == [tuple(row.values()) for row in table.to_pylist()]
    assert receipt.user_id_crc32 == receipt_of(USERS).user_id_crc32
    assert ["", "after:4"] == [call.request.resume_token for call in server.calls]


@pytest.mark.parametrize("read", [read_sync, read_async])
def test_no_users(read: Reader) -> None:
    """An empty stream is an empty table with its columns."""
    with ScriptedServer(scan_script([])) as server:
        table, receipt = read(server.target)

    assert (0, ["user_id", "name", "email", "age"]) == (table.num_rows, table.column_names)
    assert receipt.user_count == 0


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1]], ids=["unordered", "doubled"])
@pytest.mark.usefixtures("decoder")
def test_order_is_verified(order: list[int]) -> None:
    """A user out of order, or twice, is an error and no row of a table."""
    message = pb.StreamUsersResponse(users=[USERS[n] for n in order], resume_token="token")
    with (
        ScriptedServer([message]) as server,
        UserStreamClient(server.target, resume=None) as client,
        pytest.raises(OutOfOrderError),
    ):
        client.stream_users().to_arrow()


def test_columns_follow_users() -> None:
    """A stream read user by user continues as record batches with the next message, and moves its checkpoint."""
    with (
        ScriptedServer(messages_of(USERS)) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        stream = client.stream_users()
        first = [next(stream), next(stream)]
        batches = stream.record_batches()
        second = next(batches)
        resumable = stream.checkpoint
        rest = pa.Table.from_batches([second, *batches])

    assert EXPECTED[:2] == [tuple(user) for user in first]
    assert EXPECTED[2:] == [tuple(row.values()) for row in rest.to_pylist()]
    assert resumable.resume_token == "after:4"


def test_capsule() -> None:
    """Any library with Arrow's PyCapsule interface reads a stream as a table."""
    with (
        ScriptedServer(scan_script(USERS)) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        table = pa.table(client.stream_users())

    assert EXPECTED == [tuple(row.values()) for row in table.to_pylist()]


def test_leaving_early_ends_the_call() -> None:
    """Closing the iterator of record batches closes the call."""
    with (
        ScriptedServer(messages_of(USERS)) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        batches = client.stream_users().record_batches()
        next(batches)
        batches.close()

        assert server.calls[0].ended.wait(10)


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what to install."""
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "userstream_client.arrow", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with (
        UserStreamClient("127.0.0.1:1") as client,
        pytest.raises(ImportError, match=r"pip install 'userstream\[arrow\]'"),
    ):
        client.stream_users().record_batches()
