"""Connections without end: how many are accepted, when idle ones are closed, and that health has files left."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.http2 import RawClient
from userstream_testing.server_process import run_to_end, serving
from userstream_testing.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
FILES = 256


@pytest.fixture
def few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python processes that a test starts open 256 files and no more."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))\n"
    (tmp_path / "sitecustomize.py").write_text(limit)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Hold connections that say nothing."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(count)
        ]


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False


def health_of(port: int | None) -> int:
    """Ask over a connection of its own."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=own) as channel:
        request = health_pb2.HealthCheckRequest()
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status)


def small_call(stub: Any) -> int:
    messages = stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=20)
    return sum(len(message.users) for message in messages)


@pytest.mark.usefixtures("few_files")
def test_silent_connections_with_few_files(reader_url: str, tmp_path: Path) -> None:
    """400 silent connections and a limit of 256 files: health stays SERVING, calls are served, the log warns."""
    settings = {"HEALTH_LISTEN": "127.0.0.1:0", "HEALTH_POLL_SECONDS": 0.1}
    with (
        serving(reader_url, tmp_path, HANDSHAKE_TIMEOUT_SECONDS=60, **settings) as server,
        stub_for(server.target) as stub,
        ThreadPoolExecutor(20) as threads,
    ):
        before = small_call(stub)
        with silent(server.port, 400) as connections:
            until(lambda: sum(map(is_open, connections[-50:])) == 0)
            calls = [threads.submit(small_call, stub) for _ in range(100)]
            answers = {call.result(30) for call in calls}
            health = {health_of(server.health_port) for _ in range(20)}
        until(lambda: health_of(server.port) == SERVING)
        (warning,) = server.events("few_open_files")
        lost = server.events("not_serving")

    assert (1, {1}, {SERVING}, []) == (before, answers, health, lost)
    assert f"may open {FILES} files" in warning["message"]


def test_connections_max(reader_url: str, tmp_path: Path) -> None:
    """Beyond CONNECTIONS_MAX a connection is closed at once, and the next one is served when one has ended."""
    with serving(reader_url, tmp_path, CONNECTIONS_MAX=5, HEALTH_LISTEN="127.0.0.1:0") as server:
        with silent(server.port, 8) as connections:
            until(lambda: sum(map(is_open, connections)) == 5)
            assert health_of(server.health_port) == SERVING
        with stub_for(server.target) as stub:
            assert small_call(stub) == 1


def test_idle_connections(reader_url: str, tmp_path: Path) -> None:
    """A connection without calls is closed after MAX_CONNECTION_IDLE_SECONDS; its client notices nothing."""
    with (
        serving(reader_url, tmp_path, MAX_CONNECTION_IDLE_SECONDS=0.5) as server,
        stub_for(server.target) as stub,
        RawClient(server.port) as raw,
    ):
        assert small_call(stub) == 1
        assert raw.is_closed_within(5)
        assert small_call(stub) == 1


@pytest.mark.usefixtures("few_files")
def test_check_warns(tmp_path: Path) -> None:
    """--check says how many files are needed, and what to do."""
    lines = run_to_end({}, tmp_path, "--check").stdout.splitlines()
    (found,) = (line for line in lines if line.startswith("files"))
    enough = run_to_end({"USERSTREAM_CONNECTIONS_MAX": "100"}, tmp_path, "--check").stdout

    assert found.startswith(f"files     warn  a process may open {FILES} files here")
    assert "USERSTREAM_CONNECTIONS_MAX to 176" in found
    assert "files     ok    enough for 100 connections" in enough
