"""Limits of connections: silent ones, old ones, those that ping; and health when everything is busy."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_client import UserStreamClient
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.http2 import GOAWAY, PING, RST_STREAM, RawClient, frame
from userstream_testing.server_process import serving
from userstream_testing.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING


def test_a_call_without_a_request(reader_url: str, tmp_path: Path) -> None:
    """A call whose request does not come is ended after REQUEST_TIMEOUT_SECONDS, says so, and holds nothing."""
    with (
        serving(
            reader_url, tmp_path, REQUEST_TIMEOUT_SECONDS=0.5, STREAMS_MAX=4, CALLS_WAITING_MAX=0
        ) as server,
        RawClient(server.port) as raw,
        stub_for(server.target) as stub,
    ):
        streams = {raw.open_call("StreamUsers") for _ in range(4)}
        frames = raw.frames(4)  # a busy machine starts the four calls late
        ended = {f.stream for f in frames if f.kind == RST_STREAM}
        answer = stub.AverageAge(pb.AverageAgeRequest(), timeout=10)
        calls = server.events("call_without_request_cancelled")
        until(lambda: len(server.events("call")) == 5)
        lines = [line for line in server.events("call") if line["status"] == "DEADLINE_EXCEEDED"]

    assert streams == ended
    assert streams == {f.stream for f in frames if b"REQUEST_TIMEOUT" in f.payload}
    assert len(calls) == 4
    assert {"REQUEST_TIMEOUT"} == {line["reason"] for line in lines}
    assert answer.user_count == 60_000


def test_a_call_of_several_requests(reader_url: str, tmp_path: Path) -> None:
    """What comes after the one request is ignored; a call that ends without one is INVALID_ARGUMENT."""
    with (
        serving(reader_url, tmp_path) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        call: Any = channel.stream_stream("/userstream.v1.UserService/StreamUsers")
        one = pb.StreamUsersRequest(limit=5).SerializeToString()
        answers = list(call(iter([one, one, one])))
        error = rich_error(call(iter([])))

    assert sum(len(pb.StreamUsersResponse.FromString(a).users) for a in answers) == 5
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.info.reason == "MALFORMED_REQUEST"


@pytest.mark.parametrize("greeting", [b"", b"PRI", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_connection_that_says_nothing(reader_url: str, tmp_path: Path, greeting: bytes) -> None:
    """One that does not speak HTTP/2 within HANDSHAKE_TIMEOUT_SECONDS is closed."""
    with (
        serving(reader_url, tmp_path, HANDSHAKE_TIMEOUT_SECONDS=1) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as silent,
    ):
        silent.sendall(greeting)
        began = time.monotonic()
        with suppress(ConnectionError):
            while silent.recv(4096):
                pass
        took = time.monotonic() - began

    assert took < 5


def test_an_old_connection(reader_url: str, tmp_path: Path) -> None:
    """A stream on a connection past its age and grace ends UNAVAILABLE; our client goes on and loses nothing."""
    ages = {"MAX_CONNECTION_AGE_SECONDS": 1, "MAX_CONNECTION_AGE_GRACE_SECONDS": 0.5}
    with serving(reader_url, tmp_path, **ages) as server:
        with stub_for(server.target) as stub:
            call = stub.StreamUsers(pb.StreamUsersRequest())
            next(call)
            time.sleep(2.5)  # both times, and the tenth that gRPC may add
            error = rich_error(call)
        with UserStreamClient(server.target) as client:
            stream = client.stream_users()
            count = 0
            for user in stream:
                count += 1
                if count == 1:
                    time.sleep(2.5)
                assert user.user_id
            receipt = stream.receipt

    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert receipt is not None
    assert (count, receipt.resumed_count >= 1) == (60_000, True)


def goaways(raw: RawClient, every_seconds: float, count: int) -> list[bytes]:
    """Ping several times; return what the server said when it hung up, if it did."""
    found = []
    for _ in range(count):
        try:
            raw.ping()
        except OSError:
            break
        found += raw.frames(every_seconds)
    return [f.payload[8:] for f in found if f.kind == GOAWAY]


def test_pings(reader_url: str, tmp_path: Path) -> None:
    """A client may ping as often as it likes, without a call too; each ping is answered."""
    with serving(reader_url, tmp_path) as server, RawClient(server.port) as raw:
        hung_up = goaways(raw, 0.02, 100)
        raw.ping()
        answered = [f for f in raw.frames(0.5) if f.kind == PING and f.flags]

    assert hung_up == []
    assert answered


@pytest.mark.long
def test_keepalive_of_an_ordinary_client(reader_url: str, tmp_path: Path) -> None:
    """With the defaults, gRPC's own keepalive every 10 s, with a stalled stream and without calls, is welcome."""
    options = [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with (
        serving(reader_url, tmp_path, SEND_TIMEOUT_SECONDS=600) as server,
        grpc.insecure_channel(server.target, options=options) as channel,
    ):
        raw: Any = channel.unary_stream("/userstream.v1.UserService/StreamUsers")
        call = raw(b"")
        next(call)
        time.sleep(70)
        assert len(list(call)) > 1
        states: list[grpc.ChannelConnectivity] = []
        channel.subscribe(states.append)
        time.sleep(70)

    assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in states
    assert grpc.ChannelConnectivity.IDLE not in states


def test_health_while_every_thread_is_busy(reader_url: str, tmp_path: Path) -> None:
    """With all calls taken and the queue full, health answers on its own port, and on the service's."""
    calls = {"STREAMS_MAX": 4, "CALLS_WAITING_MAX": 4, "CALL_WAIT_SECONDS": 60}
    calls["STREAMS_PER_CONNECTION_MAX"] = 1000
    with (
        serving(
            reader_url, tmp_path, HEALTH_LISTEN="127.0.0.1:0", REQUEST_TIMEOUT_SECONDS=60, **calls
        ) as server,
        RawClient(server.port) as raw,
        stub_for(server.target) as stub,
    ):
        for _ in range(200):
            raw.open_call("StreamUsers")
        until(lambda: len(server.events("call")) == 200 - 4 - 4)
        error = rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10))
        for port in (server.health_port, server.port):
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                request = health_pb2.HealthCheckRequest()
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
            assert answer.status == SERVING

    assert error.info.reason == "TOO_MANY_CALLS"


def test_broken_http2(reader_url: str, tmp_path: Path) -> None:
    """A connection that breaks HTTP/2 is closed, and the next one is served."""
    with serving(reader_url, tmp_path) as server:
        with RawClient(server.port) as raw:
            raw.send(frame(PING, 0, 0, b"too short"[:3]))
            assert raw.is_closed_within(5)
        with stub_for(server.target) as stub:
            assert stub.AverageAge(pb.AverageAgeRequest(), timeout=10).user_count == 60_000
