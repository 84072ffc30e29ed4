"""Faults 4 and 6 for SNAPSHOT streams, whose one connection and read view can be lost; and what progress says after."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate, islice, pairwise
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import AsyncUserStreamClient, Consistency, Receipt, UserStreamClient
from userstream_testing.admin import admin_connection, execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.client_runs import KINDS, PATIENT
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import ServerProcess, serving

SNAPSHOT = pb.StreamUsersRequest(consistency=pb.CONSISTENCY_SNAPSHOT, max_users_per_message=50)


@pytest.fixture(scope="module")
def server(large_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server that reads in its smallest chunks, so that a view is needed to the end."""
    folder = tmp_path_factory.mktemp("snapshots")
    with serving(large_url, folder, CHUNK_ROWS_MAX=250) as process:
        yield process


@pytest.fixture(scope="module")
def user_ids(large_url: str) -> list[str]:
    """Return the large table's user_ids in order."""
    return [row[0] for row in execute(large_url, "SELECT user_id FROM user_data ORDER BY user_id")]


def kill_views(url: str, what: str) -> int:
    """Kill what holds a read view of the database, whether it rests or runs; return how many."""
    views = (
        "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"
        " JOIN information_schema.processlist ON id = trx_mysql_thread_id WHERE db = DATABASE()"
    )
    with closing(admin_connection(url)) as connection, connection.cursor() as cursor:
        deadline = time.monotonic() + 10
        found: list[Any] = []
        while not found:
            assert time.monotonic() < deadline, "no read view to be seen"
            cursor.execute(views)
            found = cursor.fetchall()
        for (number,) in found:
            cursor.execute(f"{what} {number}")
        return len(found)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_a_lost_snapshot_says_so(
    large_url: str, server: ServerProcess, faults: FaultReport, user_ids: list[str], rounds: int
) -> None:
    """Its stream ends UNAVAILABLE behind an exact prefix; the resume is a new view, and its receipt counts it."""
    with stub_for(server.target) as stub:
        for _ in range(rounds):
            with faults.round("4 read view of a SNAPSHOT killed, resumed"):
                call = stub.StreamUsers(SNAPSHOT)
                messages = [next(call)]
                kill_views(large_url, "KILL CONNECTION")
                with pytest.raises(grpc.RpcError) as caught:
                    messages += call
                error = rich_error(caught.value)
                again = pb.StreamUsersRequest()
                again.CopyFrom(SNAPSHOT)
                again.resume_token = messages[-1].resume_token
                first = [user.user_id for m in messages for user in m.users]
                rest = list(stub.StreamUsers(again))
                receipt = rest[-1].receipt

                assert (grpc.StatusCode.UNAVAILABLE, True) == (error.code, bool(error.info.reason))
                assert error.retry_seconds is not None
                assert 0 < len(first) < len(user_ids)
                assert user_ids == first + [user.user_id for m in rest for user in m.users]
                assert (pb.CONSISTENCY_SNAPSHOT, 1) == (receipt.consistency, receipt.resumed_count)


def interrupted(target: str, url: str) -> tuple[list[str], Receipt | None]:
    """Read a SNAPSHOT whose view is killed after the first user."""
    with UserStreamClient(target, resume=PATIENT) as client:
        stream = client.stream_users(consistency=Consistency.SNAPSHOT)
        first = next(stream)
        kill_views(url, "KILL CONNECTION")
        return [user.user_id for user in (first, *stream)], stream.receipt


async def interrupted_async(target: str, url: str) -> tuple[list[str], Receipt | None]:
    """Do the same with the asyncio client."""
    async with AsyncUserStreamClient(target, resume=PATIENT) as client:
        stream = client.stream_users(consistency=Consistency.SNAPSHOT)
        found = [(await anext(stream)).user_id]
        await asyncio.to_thread(kill_views, url, "KILL CONNECTION")
        found += [user.user_id async for user in stream]
        return found, stream.receipt


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_whose_snapshot_is_lost(
    large_url: str, server: ServerProcess, faults: FaultReport, user_ids: list[str], kind: str
) -> None:
    """It goes on by itself, and the receipt tells that it saw more than one state."""
    with faults.round("4 read view of a SNAPSHOT killed, resumed"):
        found, receipt = (
            interrupted(server.target, large_url)
            if kind == "sync"
            else asyncio.run(interrupted_async(server.target, large_url))
        )

        assert user_ids == found
        assert receipt is not None
        assert (Consistency.SNAPSHOT, 1) == (receipt.consistency, receipt.resumed_count)


def read(call: Any, most: int | None = None) -> list[Any]:
    """Return the messages of a stream, the first so many if a number is given."""
    messages = list(islice(call, most))
    call.cancel()
    return messages


@pytest.mark.parametrize(
    "name", ["StreamUsers", pytest.param("BatchUsers", marks=pytest.mark.long)]
)
def test_progress_carries_on(server: ServerProcess, user_ids: list[str], name: str) -> None:
    """Broken at any place, a resumed stream's users_sent and fraction go on from the start of the scan, up to 1."""
    make = getattr(pb, f"{name}Request")
    size = {"max_users_per_message": 500} if name == "StreamUsers" else {"batch_size": 500}
    request = make(filter=pb.UserFilter(age_over=-1), **size)
    with stub_for(server.target) as stub:
        method = getattr(stub, name)
        for after in (1, 3, 7, 40, 110):
            messages = read(method(request), after)
            again = make()
            again.CopyFrom(request)
            again.resume_token = messages[-1].resume_token
            messages += read(method(again))
            steps = [message.progress for message in messages]
            sent = list(accumulate(len(message.users) for message in messages))
            receipt = messages[-1].receipt

            assert sent == [step.users_sent for step in steps]
            assert all(a.fraction <= b.fraction for a, b in pairwise(steps))
            assert steps[after].fraction > 0 or sent[after] <= 3_000
            assert [step.fraction == 1 for step in steps] == [False] * (len(steps) - 1) + [True]
            assert (len(user_ids), 1) == (receipt.user_count, receipt.resumed_count)
