"""Faults 3, 8, 10 and 11: processes that die, freeze, come late or are told to stop."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream_testing.admin import execute
from userstream_testing.calls import stub_for
from userstream_testing.client_runs import KINDS, PATIENT, Outcome, read_users, verified
from userstream_testing.fault_report import FaultReport
from userstream_testing.mysql_server import PrivateServer, free_port
from userstream_testing.processlist import running
from userstream_testing.server_process import ServerProcess

PER_MESSAGE = 10
FEW, MANY = pytest.param(3), pytest.param(50, marks=pytest.mark.long)


def until(condition: Callable[[], object], within_seconds: float = 30) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ids_of(url: str) -> list[str]:
    return [row[0] for row in execute(url, "SELECT user_id FROM user_data ORDER BY user_id")]


def start(url: str, folder: Path, **settings: object) -> ServerProcess:
    named = {f"USERSTREAM_{name}": str(value) for name, value in settings.items()}
    return ServerProcess({"USERSTREAM_DATABASE_URL": url, **named}, folder=folder)


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Yield threads for clients."""
    with ThreadPoolExecutor(16) as executor:
        yield executor


def reading(background: ThreadPoolExecutor, target: str, kind: str) -> "Future[Outcome]":
    """Read everybody, in many messages, in the background."""
    return background.submit(
        read_users, kind, target, resume=PATIENT, max_users_per_message=PER_MESSAGE
    )


def failed(outcomes: "list[Future[Outcome]]", expected: list[str]) -> list[object]:
    """Return what ended those streams that did not bring everyone, verified."""
    seen = [outcome.result(90) for outcome in outcomes]
    return [
        (repr(o.error), o.error and (o.error.code, o.error.reason), len(o.users), o.receipt)
        for o in seen
        if not verified(o, expected)
    ]


def resumed(outcomes: "list[Future[Outcome]]") -> bool:
    """Say whether any of some streams was hit between its first and its last message."""
    receipts = [outcome.result().receipt for outcome in outcomes]
    return any(receipt is not None and receipt.resumed_count for receipt in receipts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [FEW, MANY])
def test_the_server_is_killed(
    mortal_url: str,
    tmp_path: Path,
    faults: FaultReport,
    background: ThreadPoolExecutor,
    rounds: int,
) -> None:
    """SIGKILL at a random moment, then a new server on the port: every client gets everyone once, verified."""
    rng, port, expected, hits = random.Random(rounds), free_port(), ids_of(mortal_url), 0
    server = start(mortal_url, tmp_path, LISTEN=f"127.0.0.1:{port}")
    for _ in range(rounds):
        with faults.round("3 SIGKILL of the server, restarted"):
            outcomes = [reading(background, server.target, kind) for kind in KINDS]
            time.sleep(rng.uniform(0.0, 0.8))
            server.kill()
            server = start(mortal_url, tmp_path, LISTEN=f"127.0.0.1:{port}")

            assert [] == failed(outcomes, expected)
        hits += resumed(outcomes)
    assert hits >= rounds / 2, "too few kills fell into a stream"
    assert server.terminate() == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [pytest.param(2), MANY])
def test_mysql_is_killed(
    mortal_mysql: PrivateServer,
    mortal_url: str,
    tmp_path: Path,
    faults: FaultReport,
    background: ThreadPoolExecutor,
    rounds: int,
) -> None:
    """SIGKILL of MySQL at a random moment, then its restart: every client gets everyone once, verified."""
    rng, expected, hits = random.Random(rounds), ids_of(mortal_url), 0
    # Small chunks, so that the scan needs the database all along.
    with start(mortal_url, tmp_path, CHUNK_ROWS_MAX=250) as server:
        for _ in range(rounds):
            with faults.round("3 SIGKILL of MySQL, restarted"):
                outcomes = [reading(background, server.target, kind) for kind in KINDS]
                time.sleep(rng.uniform(0.0, 0.8))
                mortal_mysql.restart()

                assert [] == failed(outcomes, expected)
            hits += resumed(outcomes)
        assert hits >= rounds / 2, "too few kills fell into a stream"
        assert server.terminate() == 0


def health_of(port: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=5
        )
        return int(answer.status)


def is_serving(server: ServerProcess) -> bool:
    return health_of(server.port) == int(health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_mysql_comes_after_the_server(
    mortal_mysql: PrivateServer,
    mortal_url: str,
    tmp_path: Path,
    faults: FaultReport,
    background: ThreadPoolExecutor,
    rounds: int,
) -> None:
    """A server started before its database says NOT_SERVING, and serves when that is there, without a restart.

    Callers who were there before the database are served then, too.
    """
    expected = ids_of(mortal_url)
    for _ in range(rounds):
        mortal_mysql.kill()
        try:
            with start(mortal_url, tmp_path, HEALTH_POLL_SECONDS=0.2) as server:
                assert health_of(server.port) == health_pb2.HealthCheckResponse.NOT_SERVING
                assert _plain(server.target) == "UNAVAILABLE"
                outcomes = [reading(background, server.target, kind) for kind in KINDS]
                with faults.round("8 database down at start, back later"):
                    mortal_mysql.start()
                    until(partial(is_serving, server))

                    assert [] == failed(outcomes, expected)
                assert server.terminate() == 0
        finally:
            if mortal_mysql._process is None:
                mortal_mysql.start()


def has_logged(server: ServerProcess, calls: int) -> bool:
    return len(server.events("call")) >= calls


_READER = """
import sys
from userstream_client import UserStreamClient
with UserStreamClient(sys.argv[1]) as client:
    users = client.stream_users(max_users_per_message=1)
    print(next(users).user_id, flush=True)
    sys.stdin.read()
    count = 1 + len(list(users))
    print(count, users.receipt.user_count, users.receipt.resumed_count)
"""


@contextmanager
def stalled_reader(server: ServerProcess) -> Iterator["subprocess.Popen[str]"]:
    """Yield a client that has taken one user, and takes the others when its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", _READER, server.target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline()
            yield client
        finally:
            client.kill()


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_a_client_dies(large_url: str, tmp_path: Path, faults: FaultReport, rounds: int) -> None:
    """Its call ends by itself, its thread serves others, and no query or connection of it is left."""
    with start(large_url, tmp_path) as server:
        read_users("sync", server.target)
        threads = psutil.Process(server.process.pid).num_threads()
        for _ in range(rounds):
            with stalled_reader(server) as client:
                done = len(server.events("call")) + 1
                with faults.round("10 client gets SIGKILL"):
                    client.kill()
                    until(partial(has_logged, server, done))
        assert not running(large_url)
        assert psutil.Process(server.process.pid).num_threads() <= threads + 8
        assert verified(read_users("sync", server.target), ids_of(large_url))
        assert server.terminate() == 0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_client_freezes_and_wakes(large_url: str, tmp_path: Path, faults: FaultReport) -> None:
    """A frozen client's call ends by itself and holds no connection; once it wakes up it goes on to the whole."""
    with start(large_url, tmp_path, SEND_TIMEOUT_SECONDS=2) as server:
        for _ in range(2):
            with stalled_reader(server) as client:
                done = len(server.events("call")) + 1
                with faults.round("10 client gets SIGSTOP, its call ends"):
                    os.kill(client.pid, signal.SIGSTOP)
                    # Its system still takes what its buffers hold; TCP's own limit of 20 s then ends
                    # the connection, and with it the wait in which the thread is.
                    until(partial(has_logged, server, done), within_seconds=40)
                assert not running(large_url)
                with faults.round("10 client gets SIGCONT, and goes on to the whole"):
                    os.kill(client.pid, signal.SIGCONT)
                    out, _ = client.communicate(timeout=60)
                    count, said, resumed = map(int, out.split())

                    assert (60_000, 60_000) == (count, said)
                assert resumed >= 1
        assert server.terminate() == 0


@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(10, marks=pytest.mark.long)])
def test_sigterm_under_load(
    mortal_url: str,
    tmp_path: Path,
    faults: FaultReport,
    background: ThreadPoolExecutor,
    rounds: int,
) -> None:
    """Told to stop, a server ends every stream well or UNAVAILABLE, leaves in time, and another one takes over."""
    grace, expected = 0.5, ids_of(mortal_url)
    for _ in range(rounds):
        with (
            start(mortal_url, tmp_path, DRAIN_SECONDS=grace) as leaving,
            start(mortal_url, tmp_path) as staying,
            faults.round("11 SIGTERM under load, exit within grace + 1 s"),
        ):
            both = f"{leaving.target},{staying.target}"
            outcomes = [reading(background, both, kind) for kind in KINDS * 3]
            plain = [background.submit(_plain, leaving.target) for _ in range(4)]
            time.sleep(0.5)
            begin = time.monotonic()
            assert leaving.terminate() == 0
            assert time.monotonic() - begin < grace + 1

            assert [] == failed(outcomes, expected)
            ends = {p.result(60) for p in plain}
            assert ends <= {"OK", "UNAVAILABLE"}
            assert resumed(outcomes) or "UNAVAILABLE" in ends, "all were over before"


def _plain(target: str) -> str:
    """Read with a stub alone, slowly enough to be there at the end; return the status."""
    from userstream.v1 import user_service_pb2 as pb

    with stub_for(target) as stub:
        call: Any = stub.StreamUsers(
            pb.StreamUsersRequest(max_users_per_message=PER_MESSAGE), timeout=60
        )
        try:
            for _ in call:
                time.sleep(0.001)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"
