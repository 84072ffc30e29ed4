"""Each limit: what is beyond it is refused with a reason, and what is within it is served."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import RichError, rich_error, stub_for
from userstream_testing.http2 import RawClient
from userstream_testing.server_process import ServerProcess, serving

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
Start = Callable[..., ServerProcess]


@pytest.fixture
def start(reader_url: str, tmp_path: Path) -> Iterator[Start]:
    """Yield what starts a server with the given settings, without their prefix."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(reader_url, tmp_path, **settings))


@contextmanager
def stalled(stub: Any, count: int, **options: Any) -> Iterator[list[Any]]:
    """Hold streams open whose consumer has read one message and takes no more."""
    calls = [stub.StreamUsers(pb.StreamUsersRequest(), **options) for _ in range(count)]
    try:
        for call in calls:
            next(call)
        yield calls
    finally:
        for call in calls:
            call.cancel()


def quick(stub: Any, **options: Any) -> None:
    """Make a call that takes no time and must succeed."""
    list(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10, **options))


def refused(stub: Any, **options: Any) -> RichError:
    """Make a call that must be refused; for want of room, with the time after which to try again."""
    error = rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10, **options))
    if error.info.reason and error.code is EXHAUSTED:
        assert error.retry_seconds == 1.0
    return error


def soon(call: Callable[[], None]) -> None:
    """Repeat a call that is refused until what the test ended has ended."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return call()
        except grpc.RpcError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_calls_at_once(start: Start) -> None:
    """Beyond STREAMS_MAX, with no place to wait, a call is refused at once and told when to try again."""
    server = start(STREAMS_MAX=3, CALLS_WAITING_MAX=0)
    with stub_for(server.target) as stub:
        with stalled(stub, 3):
            began = time.monotonic()
            error = refused(stub)
            took = time.monotonic() - began
        soon(lambda: quick(stub))

    assert (error.code, error.info.reason) == (EXHAUSTED, "TOO_MANY_CALLS")
    assert error.info.domain == "userstream"
    assert took < 1


def test_calls_that_wait(start: Start) -> None:
    """Of two calls for one place in the queue, one waits and is served, the other is refused at once."""
    server = start(STREAMS_MAX=1, CALLS_WAITING_MAX=1, CALL_WAIT_SECONDS=30)
    with stub_for(server.target) as stub, ThreadPoolExecutor() as threads:
        with stalled(stub, 1):
            calls = [threads.submit(quick, stub) for _ in range(2)]
            done, waiting = wait(calls, 10, FIRST_COMPLETED)
            error = done.pop().exception()
        for call in waiting:
            call.result(10)

    assert isinstance(error, grpc.RpcError)
    assert RichError(error).info.reason == "TOO_MANY_CALLS"
    assert len(waiting) == 1


def test_waiting_ends(start: Start) -> None:
    """A call that has waited CALL_WAIT_SECONDS is refused."""
    server = start(STREAMS_MAX=1, CALLS_WAITING_MAX=1, CALL_WAIT_SECONDS=0.4)
    with stub_for(server.target) as stub, stalled(stub, 1):
        began = time.monotonic()
        error = refused(stub)
        took = time.monotonic() - began

    assert (error.code, error.info.reason) == (EXHAUSTED, "TOO_MANY_CALLS")
    assert 0.4 <= took < 5


def test_calls_of_one_token(start: Start, tmp_path: Path) -> None:
    """A token's calls count as one caller's, however many connections they come over; others are served."""
    (tmp_path / "tokens").write_text("first\nsecond\n")
    server = start(STREAMS_PER_CALLER_MAX=2, AUTH_TOKENS_FILE=tmp_path / "tokens")
    first = {"metadata": [("authorization", "Bearer first")]}
    second = {"metadata": [("authorization", "Bearer second")]}
    with stub_for(server.target) as stub, stub_for(server.target) as another:
        with stalled(stub, 2, **first):
            error = refused(another, **first)
            quick(stub, **second)
        soon(lambda: quick(stub, **first))

    assert (error.code, error.info.reason) == (EXHAUSTED, "TOO_MANY_CALLS_OF_CALLER")


def test_calls_of_one_address(start: Start) -> None:
    """Without tokens and certificates a caller is an address, whatever it puts into its metadata."""
    server = start(STREAMS_PER_CALLER_MAX=2, REQUEST_TIMEOUT_SECONDS=30)
    with stub_for(server.target) as stub:
        with RawClient(server.port, source="127.0.0.2") as elsewhere:
            for _ in range(2):
                elsewhere.open_call("StreamUsers")
            quick(stub)
        with stalled(stub, 2):
            error = refused(stub, metadata=[("authorization", "Bearer made-up")])

    assert (error.code, error.info.reason) == (EXHAUSTED, "TOO_MANY_CALLS_OF_CALLER")


def test_calls_of_one_connection(start: Start) -> None:
    """Beyond STREAMS_PER_CONNECTION_MAX a client waits by itself, as HTTP/2 has it; a second connection is served."""
    server = start(STREAMS_PER_CONNECTION_MAX=2)
    with stub_for(server.target, own=True) as stub, stub_for(server.target, own=True) as another:
        quick(stub)  # so that the connection knows its limit
        with stalled(stub, 2):
            call = stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=0.5)
            error = rich_error(call)
            quick(another)
        quick(stub)

    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_connection_at_its_limit(start: Start) -> None:
    """A client with more calls than its connection takes is served them all, and none is refused or lost."""
    server = start(STREAMS_PER_CONNECTION_MAX=8)
    with stub_for(server.target, own=True) as stub, ThreadPoolExecutor(24) as threads:
        quick(stub)  # so that the connection knows its limit
        calls = [threads.submit(quick, stub) for _ in range(300)]
        errors = [call.exception() for call in calls]

    assert [None] * 300 == errors


def test_request_size(start: Start) -> None:
    """A request over REQUEST_BYTES_MAX is refused with a reason; gRPC itself stops one of twice that."""
    server = start(REQUEST_BYTES_MAX=2048)

    def request(token_bytes: int) -> Any:
        return pb.StreamUsersRequest(resume_token="x" * token_bytes)

    with stub_for(server.target) as stub:
        within = rich_error(stub.StreamUsers(request(2000)))
        over = rich_error(stub.StreamUsers(request(3000)))
        far_over = rich_error(stub.StreamUsers(request(3_000_000)))
        quick(stub)

    assert (within.code, within.fields) == (INVALID, ["resume_token"])
    assert (over.code, over.info.reason, over.fields) == (INVALID, "REQUEST_TOO_LARGE", ["request"])
    assert far_over.code is EXHAUSTED


def test_metadata_size(start: Start) -> None:
    """Metadata over METADATA_BYTES_MAX is refused with a reason; gRPC itself stops twice that."""
    server = start(METADATA_BYTES_MAX=2048)
    with stub_for(server.target) as stub:
        quick(stub, metadata=[("a", "x" * 1500)])
        over = refused(stub, metadata=[("a", "x" * 2048)])
        far_over = refused(stub, metadata=[("a", "x" * 6000)])
        quick(stub)

    assert (over.code, over.info.reason) == (INVALID, "METADATA_TOO_LARGE")
    assert over.fields == ["metadata"]
    assert far_over.code is EXHAUSTED


def test_batch_and_page_size(start: Start) -> None:
    """BATCH_USERS_MAX bounds batches and messages, which are refused, and pages, which are cut."""
    server = start(BATCH_USERS_MAX=100)
    with stub_for(server.target) as stub:
        batch = rich_error(stub.BatchUsers(pb.BatchUsersRequest(batch_size=101)))
        message = rich_error(stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=101)))
        (page,) = stub.Paginate(pb.PaginateRequest(page_size=200, page_limit=1))
        first = next(stub.BatchUsers(pb.BatchUsersRequest(limit=150)))

    assert (batch.code, batch.fields) == (INVALID, ["batch_size"])
    assert (message.code, message.fields) == (INVALID, ["max_users_per_message"])
    assert [100, 100] == [len(page.users), len(first.users)]


def test_snapshot_views(start: Start) -> None:
    """Beyond SNAPSHOT_VIEWS_MAX a SNAPSHOT stream is refused, and a LIVE one is served."""
    server = start(SNAPSHOT_VIEWS_MAX=1)
    request = pb.StreamUsersRequest(consistency=pb.CONSISTENCY_SNAPSHOT)
    with stub_for(server.target) as stub:
        held = stub.StreamUsers(request)
        next(held)
        error = rich_error(stub.StreamUsers(request))
        quick(stub)
        held.cancel()

    assert (error.code, error.info.reason) == (EXHAUSTED, "TOO_MANY_SNAPSHOTS")
    assert error.retry_seconds is not None
