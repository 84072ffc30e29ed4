"""Several processes on one port."""

import os
import signal
import time
from pathlib import Path

import grpc
import psutil
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.server_process import ServerProcess, run_to_end
from userstream_testing.waiting import until

WORKERS = 3


def start(url: str, folder: Path) -> ServerProcess:
    settings = {"USERSTREAM_DATABASE_URL": url, "USERSTREAM_DRAIN_SECONDS": "2"}
    return ServerProcess(settings, folder=folder, arguments=("--workers", str(WORKERS)))


def children(server: ServerProcess) -> list[int]:
    return sorted(child.pid for child in psutil.Process(server.process.pid).children())


def whole_table(server: ServerProcess) -> int:
    """Read everything over a connection of its own; return the receipt's count."""
    with stub_for(server.target) as stub:
        *_, last = stub.StreamUsers(pb.StreamUsersRequest())
        return int(last.receipt.user_count)


def test_all_workers_serve(shared_url: str, tmp_path: Path) -> None:
    """New connections land on more than one process, and each serves the whole table."""
    with start(shared_url, tmp_path) as server:
        until(lambda: len(server.events("started")) == WORKERS)
        for _ in range(30):
            assert whole_table(server) == 1234
        workers = {line["worker"] for line in server.events("call")}
        assert server.terminate() == 0

    assert len(workers) > 1


def test_a_dead_worker_is_replaced(shared_url: str, tmp_path: Path) -> None:
    """One that is killed comes back, and the others serve on."""
    with start(shared_url, tmp_path) as server:
        until(lambda: len(server.events("started")) == WORKERS)
        time.sleep(1)  # a life shorter than this would wait before it is restarted
        before = children(server)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(server.events("started")) == WORKERS + 1)
        after = children(server)
        for _ in range(10):
            assert whole_table(server) == 1234
        assert server.terminate() == 0

    assert len(after) == WORKERS
    assert before[0] not in after


def test_no_worker_outlives_its_supervisor(shared_url: str, tmp_path: Path) -> None:
    """When the supervising process is killed, its workers drain and end by themselves."""
    with start(shared_url, tmp_path) as server:
        until(lambda: len(server.events("started")) == WORKERS)
        orphans = [psutil.Process(pid) for pid in children(server)]
        server.kill()
        _, alive = psutil.wait_procs(orphans, timeout=20)

    assert alive == []


def test_the_port_is_not_shared_with_strangers(shared_url: str, tmp_path: Path) -> None:
    """Workers do not join a port on which another server listens."""
    with (
        ServerProcess({"USERSTREAM_DATABASE_URL": shared_url}, folder=tmp_path) as server,
        pytest.raises(RuntimeError, match="cannot listen"),
    ):
        ServerProcess(
            {"USERSTREAM_DATABASE_URL": shared_url, "USERSTREAM_LISTEN": server.target},
            folder=tmp_path,
            arguments=("--workers", "2"),
        )


@pytest.mark.parametrize("wrong", ["account", "file"])
def test_workers_that_cannot_start(mysql_url: str, tmp_path: Path, wrong: str) -> None:
    """What ends the start of one process ends that of many, with the same code; nobody knocks again and again."""
    stranger = mysql_url.replace("//", "//no-", 1) + "/mysql"
    settings = {
        "account": {"USERSTREAM_DATABASE_URL": stranger},
        "file": {"USERSTREAM_AUTH_TOKENS_FILE": "nowhere"},
    }[wrong]
    done = run_to_end(settings, tmp_path, "--workers", "2")

    assert done.returncode == 1
    assert "userstream-server: " in done.stderr
    assert done.stderr.count("userstream-server: ") <= 2
    assert "worker_died" not in done.stderr


@pytest.mark.long
def test_a_worker_that_does_not_stop(shared_url: str, tmp_path: Path) -> None:
    """It is killed some seconds after the time to drain, and the exit code is 1."""
    with start(shared_url, tmp_path) as server:
        until(lambda: len(server.events("started")) == WORKERS)
        frozen = children(server)[0]
        os.kill(frozen, signal.SIGSTOP)
        assert server.terminate() == 1

    assert len(server.events("worker_killed")) == 1
    assert not psutil.pid_exists(frozen)


def test_a_stalled_consumer_is_cancelled(seeded_url: str, tmp_path: Path) -> None:
    """A consumer that takes nothing for the set time is ended, and one that is merely slow is not."""
    from userstream_server.databases.url import DatabaseUrl
    from userstream_server.seeding.seed import seed_synthetic

    seed_synthetic(DatabaseUrl.parse(seeded_url), 60_000)
    settings = {"USERSTREAM_DATABASE_URL": seeded_url, "USERSTREAM_SEND_TIMEOUT_SECONDS": "1"}
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        stalled = stub.StreamUsers(pb.StreamUsersRequest())
        next(stalled)
        until(lambda: server.events("stalled_call_cancelled"))
        error = rich_error(stalled)
        slow = stub.StreamUsers(pb.StreamUsersRequest(limit=40))
        for _ in slow:
            time.sleep(0.1)

    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
