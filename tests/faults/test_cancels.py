"""Fault 4: deadlines and cancellation reach the database, for every call, and leave nothing behind."""

import re
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import grpc
import psutil
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.fault_report import FaultReport
from userstream_testing.processlist import (
    connections,
    locked_table,
    running,
    until_gone,
    until_running,
)
from userstream_testing.server_process import ServerProcess

MIB = 2**20
SNAPSHOT = pb.CONSISTENCY_SNAPSHOT
EVERY_CALL = {
    "StreamUsers": pb.StreamUsersRequest(),
    "StreamUsers of a SNAPSHOT": pb.StreamUsersRequest(consistency=SNAPSHOT),
    "BatchUsers": pb.BatchUsersRequest(),
    "Paginate": pb.PaginateRequest(),
    "BatchGetUsers": pb.BatchGetUsersRequest(user_ids=["00000000"]),
    "AverageAge": pb.AverageAgeRequest(),
    "StreamAverageAge": pb.StreamAverageAgeRequest(),
    "PartitionUsers": pb.PartitionUsersRequest(partition_count=2),
}


@pytest.fixture
def stub(large_server: ServerProcess) -> Iterator[Any]:
    """Yield a stub for it."""
    with stub_for(large_server.target) as opened:
        yield opened


def begin(stub: Any, name: str, timeout: float = 30) -> Any:
    """Start a call without waiting for anything of it."""
    method = getattr(stub, name.split(maxsplit=1)[0])
    return getattr(method, "future", method)(EVERY_CALL[name], timeout=timeout)


@pytest.mark.parametrize("name", EVERY_CALL)
def test_a_cancel_reaches_the_database(
    large_url: str, stub: Any, faults: FaultReport, name: str
) -> None:
    """Within a second of a cancel its query is gone from the database, and so is its connection."""
    for _ in range(3):
        with locked_table(large_url):
            call = begin(stub, name)
            found = set(until_running(large_url, 1))
            with faults.round("4 cancel: query and connection gone within 1 s"):
                call.cancel()

                assert until_gone(large_url, found) < 1
                assert not running(large_url)


def test_a_deadline_reaches_the_database(large_url: str, stub: Any, faults: FaultReport) -> None:
    """Every call's query has the caller's remaining time for its limit, and is gone within 1 s of the deadline."""
    with locked_table(large_url), faults.round("4 deadline: queries gone within 1 s"):
        due = time.monotonic() + 1.0
        calls = [begin(stub, name, timeout=1.0) for name in EVERY_CALL]
        found = until_running(large_url, len(EVERY_CALL))
        limits = [
            int(limit)
            for t in found.values()
            for limit in re.findall(r"MAX_EXECUTION_TIME\((\d+)", t)
        ]
        codes = [call.code() for call in calls]
        while running(large_url):
            assert time.monotonic() < due + 1
            time.sleep(0.01)

        assert {grpc.StatusCode.DEADLINE_EXCEEDED} == set(codes)
        assert len(limits) == len(EVERY_CALL)
        # gRPC rounds deadlines up to its own milliseconds, and takes them from another clock.
        assert all(0 < limit <= 1010 for limit in limits), limits


def cancel_after_first(stub: Any, count: int) -> None:
    """Cancel so many calls, of each kind in turn, each behind its first message."""
    names = ("StreamUsers", "BatchUsers", "StreamUsers of a SNAPSHOT", "Paginate")
    for name in islice(cycle(names), count):
        call = begin(stub, name)
        next(call)
        call.cancel()


@pytest.mark.parametrize("calls", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_cancels_leave_nothing(
    large_url: str, large_server: ServerProcess, stub: Any, faults: FaultReport, calls: int
) -> None:
    """Calls cancelled after their first message leave threads, connections, files and memory where they were."""
    process = psutil.Process(large_server.process.pid)
    cancel_after_first(stub, 60)
    settle(large_url, stub)
    threads, memory, files = process.num_threads(), process.memory_info().rss, process.num_fds()
    with faults.round(f"4 {calls:,} calls cancelled after the first user: nothing left"):
        cancel_after_first(stub, calls)
        settle(large_url, stub)

        # A thread more or less serves calls that overlap; a leak would be one for each of hundreds.
        assert process.num_threads() <= threads + 4
        assert process.num_fds() <= files + 8
        assert process.memory_info().rss < memory + 16 * MIB
    *_, last = begin(stub, "StreamUsers")
    assert last.receipt.user_count == 60_000


def settle(url: str, stub: Any) -> None:
    """Wait until no query runs and no more connections are open than the pool's eight and the one for health."""
    stub.AverageAge(pb.AverageAgeRequest())
    deadline = time.monotonic() + 10
    while running(url) or len(connections(url)) > 9:
        assert time.monotonic() < deadline
        time.sleep(0.05)
