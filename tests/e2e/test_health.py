"""grpc.health.v1: Watch speaks on change only, List names every service, Check answers as ever."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.server_process import ServerProcess, serving

SERVING, NOT_SERVING, UNKNOWN_SERVICE = 1, 2, 3
SERVICES = ("", "userstream.v1.UserService")
POLLS = {"HEALTH_POLL_SECONDS": 0.05}


class Watching:
    """Statuses that Watch sends, as they come."""

    def __init__(self, stub: Any, service: str) -> None:
        self._came: queue.Queue[int] = queue.Queue()
        call = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        self._cancel = call.cancel
        threading.Thread(target=self._read, args=(call,), daemon=True).start()

    def _read(self, call: Any) -> None:
        try:
            for response in call:
                self._came.put(response.status)
        except grpc.RpcError:
            return

    def next(self) -> int:
        """Return the next status."""
        return self._came.get(timeout=20)

    def rest(self, seconds: float) -> list[int]:
        """Return what else comes within some seconds."""
        time.sleep(seconds)
        return [self._came.get() for _ in range(self._came.qsize())]

    def cancel(self) -> None:
        self._cancel()


@contextmanager
def health_of(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(server.target) as channel:
        yield health_pb2_grpc.HealthStub(channel)


@contextmanager
def a_database(kind: str, folder: Path) -> Iterator[tuple[str, Any, Any]]:
    """Yield the URL of a database with users, and what takes it away and brings it back."""
    if kind == "sqlite":
        file, away = folder / "users.db", folder / "away.db"
        seed_synthetic(DatabaseUrl.parse(f"sqlite:///{file}"), 100)
        yield f"sqlite:///{file}", lambda: file.rename(away), lambda: away.rename(file)
        return
    with PrivateServer() as mysql:
        url = f"{mysql.url}/ALX_prodev"
        seed_synthetic(DatabaseUrl.parse(url), 100)
        yield url, mysql.kill, mysql.start


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
@pytest.mark.parametrize("service", SERVICES)
def test_watch_speaks_on_change_only(tmp_path: Path, kind: str, service: str) -> None:
    """One status at once, then none for any number of polls; one more each time the database goes or comes back."""
    with (
        a_database(kind, tmp_path) as (url, take_away, bring_back),
        serving(url, tmp_path, **POLLS) as server,
        health_of(server) as stub,
    ):
        watching = Watching(stub, service)
        seen = [watching.next(), *watching.rest(1)]
        take_away()
        seen += [watching.next(), *watching.rest(0.5)]
        bring_back()
        seen += [watching.next(), *watching.rest(0.5)]
        watching.cancel()

    assert [SERVING, NOT_SERVING, SERVING] == seen


@pytest.mark.slow
def test_draining_is_a_change(tmp_path: Path) -> None:
    """SIGTERM tells those who watch, once."""
    with (
        a_database("sqlite", tmp_path) as (url, _, _),
        serving(url, tmp_path) as server,
        health_of(server) as stub,
    ):
        watching = Watching(stub, SERVICES[1])
        seen = [watching.next()]
        assert server.terminate() == 0
        seen += [watching.next(), *watching.rest(0.2)]

    assert [SERVING, NOT_SERVING] == seen


@pytest.mark.skipif(
    not hasattr(health_pb2, "HealthListRequest"), reason="grpcio-health-checking is older than List"
)
def test_list(shared_server: ServerProcess) -> None:
    """Every service with its status, in one call."""
    with health_of(shared_server) as stub:
        listed = stub.List(health_pb2.HealthListRequest(), timeout=10)

    assert dict.fromkeys(SERVICES, SERVING) == {
        name: found.status for name, found in listed.statuses.items()
    }


def test_other_services(shared_server: ServerProcess) -> None:
    """An unknown service is NOT_FOUND to Check, and SERVICE_UNKNOWN to Watch."""
    request = health_pb2.HealthCheckRequest(service="made.Up")
    with health_of(shared_server) as stub:
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(request, timeout=10)
        call = stub.Watch(request, timeout=10)
        watched = next(call)
        call.cancel()

    assert (grpc.StatusCode.NOT_FOUND, UNKNOWN_SERVICE) == (caught.value.code(), watched.status)
