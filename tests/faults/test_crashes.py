"""Faults 3, 8 and 11: servers and databases that die, come late or are told to stop."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream_testing.admin import execute
from userstream_testing.calls import stub_for
from userstream_testing.client_runs import KINDS, PATIENT, Outcome, read_users, verified
from userstream_testing.fault_report import FaultReport
from userstream_testing.mysql_server import PrivateServer, free_port
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

PER_MESSAGE = 10
FEW, MANY = pytest.param(2), pytest.param(50, marks=pytest.mark.long)


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


def undisturbed_seconds(background: ThreadPoolExecutor, target: str) -> float:
    """Return how long both clients take where nothing happens to them: the moments to try lie in there."""
    begin = time.monotonic()
    for outcome in [reading(background, target, kind) for kind in KINDS]:
        outcome.result(60)
    return time.monotonic() - begin


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
    with ExitStack() as stack:

        def begin() -> ServerProcess:
            return stack.enter_context(start(mortal_url, tmp_path, LISTEN=f"127.0.0.1:{port}"))

        server = begin()
        span_seconds = undisturbed_seconds(background, server.target)
        for _ in range(rounds):
            with faults.round("3 SIGKILL of the server, restarted"):
                outcomes = [reading(background, server.target, kind) for kind in KINDS]
                time.sleep(rng.uniform(0.0, span_seconds))
                server.kill()
                server = begin()

                assert [] == failed(outcomes, expected)
            hits += resumed(outcomes)
        assert server.terminate() == 0
    assert hits >= rounds // 4, "too few kills fell into a stream"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [FEW, MANY])
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
        span_seconds = undisturbed_seconds(background, server.target)
        for _ in range(rounds):
            with faults.round("3 SIGKILL of MySQL, restarted"):
                outcomes = [reading(background, server.target, kind) for kind in KINDS]
                time.sleep(rng.uniform(0.0, span_seconds))
                mortal_mysql.restart()

                assert [] == failed(outcomes, expected)
            hits += resumed(outcomes)
        assert server.terminate() == 0
    assert hits >= rounds // 4, "too few kills fell into a stream"


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


@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(10, marks=pytest.mark.long)])
def test_sigterm_under_load(
    large_url: str,
    tmp_path: Path,
    faults: FaultReport,
    background: ThreadPoolExecutor,
    rounds: int,
) -> None:
    """Told to stop, a server ends every stream well or UNAVAILABLE, leaves in time, and another one takes over."""
    grace, expected = 0.5, ids_of(large_url)
    for _ in range(rounds):
        with (
            start(large_url, tmp_path, DRAIN_SECONDS=grace) as leaving,
            start(large_url, tmp_path) as staying,
            faults.round("11 SIGTERM under load, exit within grace + 6 s"),
        ):
            both = f"{leaving.target},{staying.target}"
            outcomes = [reading(background, both, kind) for kind in KINDS]
            plain = [background.submit(_plain, leaving.target) for _ in range(4)]
            time.sleep(0.5)
            begin = time.monotonic()
            assert leaving.terminate() == 0
            # Callers have 5 s to take what was sent before their status.
            assert time.monotonic() - begin < grace + 6

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
