"""The one line that a call leaves in the log."""

from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.version import VERSION
from userstream_testing.calls import stub_for
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until


def line_of(server: ServerProcess, request_id: str) -> dict[str, Any]:
    """Return the one line of a call; it comes just after the caller has its answer."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in server.events("call") if line["request_id"] == request_id]

    until(lines)
    (line,) = lines()
    return line


def sent_back(call: Any) -> str:
    return str(dict(call.trailing_metadata())["x-request-id"])


@pytest.mark.parametrize(
    ("method", "request_", "rows"),
    [
        ("StreamUsers", pb.StreamUsersRequest(), 1234),
        ("BatchUsers", pb.BatchUsersRequest(batch_size=10, limit=25), 25),
        ("Paginate", pb.PaginateRequest(page_size=50, page_limit=3), 150),
        ("StreamAverageAge", pb.StreamAverageAgeRequest(), 1234),
    ],
)
def test_one_line_a_call(
    shared_server: ServerProcess, method: str, request_: Any, rows: int
) -> None:
    """It has request id, peer, method, status, rows and duration, and the caller gets the id."""
    with stub_for(shared_server.target) as stub:
        call = getattr(stub, method)(request_)
        list(call)
        line = line_of(shared_server, sent_back(call))

    assert (method, "OK", rows) == (line["method"], line["status"], line["rows"])
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert 0 < line["duration_seconds"] < 60
    assert "trace_id" not in line


def test_a_call_with_one_answer(shared_server: ServerProcess) -> None:
    """Its line says how many users were counted, if any."""
    with stub_for(shared_server.target) as stub:
        _, call = stub.AverageAge.with_call(pb.AverageAgeRequest())
        _, other = stub.PartitionUsers.with_call(pb.PartitionUsersRequest(partition_count=2))
        seen = [line_of(shared_server, sent_back(one)) for one in (call, other)]

    assert [("AverageAge", "OK", 1234), ("PartitionUsers", "OK", 0)] == [
        (line["method"], line["status"], line["rows"]) for line in seen
    ]


@pytest.mark.parametrize("request_id", ["9f2819fe-22cc", "a", "trace:1/2+3=_.", "x" * 64])
def test_the_callers_request_id(shared_server: ServerProcess, request_id: str) -> None:
    """A harmless x-request-id is taken and comes back, also with an error."""
    with stub_for(shared_server.target) as stub:
        call = stub.StreamUsers(
            pb.StreamUsersRequest(limit=-1), metadata=[("x-request-id", request_id)]
        )
        with pytest.raises(grpc.RpcError):
            list(call)
        line = line_of(shared_server, request_id)

    assert sent_back(call) == request_id
    assert ("INVALID_ARGUMENT", "INVALID_REQUEST") == (line["status"], line["reason"])
    assert line["rows"] == 0


@pytest.mark.parametrize(
    "request_id", ["", "x" * 65, "two words", "someone@example.com", 'quote"', "a,b", "{}"]
)
def test_a_request_id_that_is_not_taken(shared_server: ServerProcess, request_id: str) -> None:
    """Anything else gives way to one of the server's, so that no caller writes what it likes into the log."""
    with stub_for(shared_server.target) as stub:
        call = stub.StreamUsers(
            pb.StreamUsersRequest(limit=1), metadata=[("x-request-id", request_id)]
        )
        list(call)
        given = sent_back(call)
        line = line_of(shared_server, given)

    assert given != request_id
    assert len(given) == 32
    assert line["status"] == "OK"


def test_the_server_s_version(shared_server: ServerProcess) -> None:
    """It comes with calls that end well, and with no error."""
    with stub_for(shared_server.target) as stub:
        _, one = stub.PartitionUsers.with_call(pb.PartitionUsersRequest(partition_count=1))
        many = stub.StreamUsers(pb.StreamUsersRequest())
        list(many)
        bad = stub.StreamUsers(pb.StreamUsersRequest(limit=-1))
        with pytest.raises(grpc.RpcError):
            list(bad)

    said = [dict(call.trailing_metadata()).get("x-userstream-version") for call in (one, many, bad)]
    assert [VERSION, VERSION, None] == said


def test_a_cancelled_call(shared_server: ServerProcess) -> None:
    """Its line says so, and how many users had been sent."""
    with stub_for(shared_server.target) as stub:
        request = pb.StreamUsersRequest(max_users_per_message=1)
        call = stub.StreamUsers(request, metadata=[("x-request-id", f"cancelled-{id(stub)}")])
        next(call)
        call.cancel()
        line = line_of(shared_server, f"cancelled-{id(stub)}")

    assert line["status"] == "CANCELLED"
    assert 0 < line["rows"] <= 1234
