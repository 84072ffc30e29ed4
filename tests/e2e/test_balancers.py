"""Rolling restarts of three servers behind each kind of balancer, as callers see them."""

import csv
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.balancers import BALANCERS, Backend
from userstream_testing.calls import RichError, stub_for
from userstream_testing.command import COMMAND, clean_environment
from userstream_testing.debian_packages import PackageNotFoundError
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.mysql_server import free_port
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

USERS = 60_000
SERVERS = 3
WAYS = ["round_robin", *BALANCERS]


class Fleet:
    """Three servers over one database, each on ports that it keeps over restarts.

    Args:
        url: The database.
        folder: For their logs.
        drain_seconds: How long running calls may continue.
        notice_seconds: How long new calls are accepted while health says NOT_SERVING.
    """

    def __init__(
        self, url: str, folder: Path, *, drain_seconds: float, notice_seconds: float
    ) -> None:
        self._folder = folder
        self._settings = [
            {
                "USERSTREAM_DATABASE_URL": url,
                "USERSTREAM_LISTEN": f"127.0.0.1:{free_port()}",
                "USERSTREAM_HEALTH_LISTEN": f"127.0.0.1:{free_port()}",
                "USERSTREAM_HEALTH_POLL_SECONDS": "0.2",
                "USERSTREAM_POOL_SIZE": "16",
                "USERSTREAM_DRAIN_SECONDS": str(drain_seconds),
                "USERSTREAM_DRAIN_NOTICE_SECONDS": str(notice_seconds),
            }
            for _ in range(SERVERS)
        ]
        self._servers: list[ServerProcess] = []

    def __enter__(self) -> Self:
        self._servers = [ServerProcess(s, folder=self._folder) for s in self._settings]
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.__exit__(None, None, None)

    @property
    def backends(self) -> list[Backend]:
        return [Backend(s.port, s.health_port or 0) for s in self._servers]

    def stop(self, number: int) -> None:
        """Stop a server as an operator does; it must end by itself."""
        assert self._servers[number].terminate() == 0

    def kill(self, number: int) -> None:
        """End a server as the machine's end would."""
        self._servers[number].kill()

    def restart_all(self) -> None:
        """Restart one after the other, each when the one before takes calls again."""
        for number, settings in enumerate(self._settings):
            self.stop(number)
            self._servers[number] = ServerProcess(settings, folder=self._folder)
            time.sleep(1.5)  # longer than any balancer here takes to notice


@contextmanager
def balanced(way: str, fleet: Fleet, folder: Path) -> Iterator[str]:
    """Yield the target by which clients reach the fleet."""
    if way == "round_robin":
        yield ",".join(f"127.0.0.1:{backend.port}" for backend in fleet.backends)
        return
    try:
        balancer = BALANCERS[way](fleet.backends, folder)
    except PackageNotFoundError as error:
        pytest.skip(f"NOT CHECKED behind {way}: {error}")
    with balancer:
        time.sleep(1.5)
        yield balancer.target


def plain_target(target: str) -> str:
    """Return the target for a channel that is not our client's."""
    return f"ipv4:{target}" if "," in target else target


class Caller(threading.Thread):
    """Calls again and again, and keeps what failed.

    Args:
        stop: When to end.
        call: What to do; whatever it raises is a failure.
    """

    def __init__(self, stop: threading.Event, call: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._stop_calls = stop
        self._call = call
        self.done = 0
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        while not self._stop_calls.is_set():
            try:
                self._call()
                self.done += 1
            except (grpc.RpcError, AssertionError) as error:
                self.failures.append(repr(error))


def stream_without_resume(target: str) -> None:
    """Read all users slowly, with the generated stub alone."""
    with stub_for(plain_target(target), own=True) as stub:
        request = pb.StreamUsersRequest(max_users_per_message=2000)
        user_count = 0
        for message in stub.StreamUsers(request, timeout=60):
            time.sleep(0.02)
            user_count = message.receipt.user_count
        assert user_count == USERS


def export(target: str, output: Path, partitions: int = 2) -> None:
    """Export with the command, in key ranges; the file must hold every user."""
    done = subprocess.run(
        [*COMMAND, "export", "--output", str(output), "--partitions", str(partitions)],
        env=clean_environment(USERSTREAM_TARGET=target),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.read_bytes().count(b"\n") == USERS + 1


@pytest.mark.parametrize(
    ("way", "exports"),
    [
        ("round_robin", 1),
        ("envoy", 1),
        *(pytest.param(way, 8, marks=pytest.mark.long) for way in WAYS),
    ],
)
def test_a_rolling_restart_fails_no_call(
    reader_url: str, tmp_path: Path, way: str, exports: int
) -> None:
    """Where the drain is longer than the streams: 4 callers that never resume, and exports."""
    stop = threading.Event()
    with (
        Fleet(reader_url, tmp_path, drain_seconds=20, notice_seconds=1) as fleet,
        balanced(way, fleet, tmp_path) as target,
        ExitStack() as stack,
    ):
        callers = [Caller(stop, lambda: stream_without_resume(target)) for _ in range(4)]
        callers += [
            Caller(stop, lambda output=tmp_path / f"{number}.csv": export(target, output))  # type: ignore[misc]
            for number in range(exports)
        ]
        stack.callback(stop.set)
        time.sleep(0.5)
        fleet.restart_all()
        stop.set()
        for caller in callers:
            caller.join(60)

    assert [] == [failure for caller in callers for failure in caller.failures]
    assert all(caller.done for caller in callers)


def test_an_export_uses_all_servers_and_outlives_one(reader_url: str, tmp_path: Path) -> None:
    """Its key ranges are spread over the servers; those of a killed one move, and the file is whole and in order."""
    output = tmp_path / "users.csv"
    slow = Plan(latency_seconds=0.01, slice_bytes=8192)
    with (
        Fleet(reader_url, tmp_path, drain_seconds=1, notice_seconds=0) as fleet,
        ExitStack() as stack,
    ):
        proxies = [stack.enter_context(FaultProxy(backend.port)) for backend in fleet.backends]
        for proxy in proxies:
            proxy.plans.extend([slow] * 20)
        target = ",".join(proxy.target for proxy in proxies)
        exporting = Caller(stop := threading.Event(), lambda: export(target, output, partitions=6))
        until(lambda: all(sum(proxy.passed) > 100_000 for proxy in proxies))
        stop.set()
        fleet.kill(0)
        exporting.join(60)

    assert ([], 1) == (exporting.failures, exporting.done)
    with output.open(newline="") as file:
        ids = [row["user_id"] for row in csv.DictReader(file)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("way", WAYS)
def test_streams_longer_than_the_drain_say_to_resume(
    reader_url: str, tmp_path: Path, way: str
) -> None:
    """A caller that does not resume gets UNAVAILABLE with RetryInfo, not what a cut connection becomes."""
    with (
        Fleet(reader_url, tmp_path, drain_seconds=0.5, notice_seconds=0) as fleet,
        balanced(way, fleet, tmp_path) as target,
        stub_for(plain_target(target), own=True) as stub,
    ):
        calls = [
            stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=100), timeout=60)
            for _ in range(6)
        ]
        for call in calls:
            next(call)
        stopping = [threading.Thread(target=fleet.stop, args=(n,)) for n in range(SERVERS)]
        for thread in stopping:
            thread.start()
        time.sleep(1.5)
        with ThreadPoolExecutor(len(calls)) as readers:
            errors = list(readers.map(slow_error, calls))
        for thread in stopping:
            thread.join()

    assert {(grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")} == {
        (error.code, error.info.reason) for error in errors
    }
    assert all(error.retry_seconds is not None for error in errors)


def slow_error(call: Iterator[object]) -> RichError:
    """Read what is left of a call, not too fast, and return the error at its end."""
    try:
        for _ in call:
            time.sleep(0.001)
    except grpc.RpcError as error:
        return RichError(error)
    raise AssertionError("the call did not fail")
