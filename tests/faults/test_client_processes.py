"""Fault 10: clients that die, freeze and wake up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from userstream_testing.client_runs import read_users, verified
from userstream_testing.fault_report import FaultReport
from userstream_testing.processlist import running
from userstream_testing.server_process import ServerProcess, serving
from userstream_testing.waiting import until


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
    with serving(large_url, tmp_path) as server:
        expected = [user.user_id for user in read_users("sync", server.target).users]
        threads = psutil.Process(server.process.pid).num_threads()
        for _ in range(rounds):
            with stalled_reader(server) as client:
                done = len(server.events("call")) + 1
                with faults.round("10 client gets SIGKILL"):
                    client.kill()
                    until(partial(has_logged, server, done))
        assert not running(large_url)
        assert psutil.Process(server.process.pid).num_threads() <= threads + 8
        assert verified(read_users("sync", server.target), expected)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_client_freezes_and_wakes(large_url: str, tmp_path: Path, faults: FaultReport) -> None:
    """A frozen client's call ends by itself and holds no connection; once it wakes up it goes on to the whole."""
    with serving(large_url, tmp_path, SEND_TIMEOUT_SECONDS=2) as server:
        for _ in range(2):
            with stalled_reader(server) as client:
                done = len(server.events("call")) + 1
                with faults.round("10 client gets SIGSTOP, its call ends"):
                    os.kill(client.pid, signal.SIGSTOP)
                    # Its system still takes what its buffers hold; TCP's own limit of 20 s then ends
                    # the connection, and with it the wait in which the thread is.
                    until(partial(has_logged, server, done), within_seconds=40)
                assert not running(large_url)
                with faults.round("10 client gets SIGCONT, and completes"):
                    os.kill(client.pid, signal.SIGCONT)
                    out, _ = client.communicate(timeout=60)
                    count, said, resumed = map(int, out.split())

                    assert (60_000, 60_000) == (count, said)
                assert resumed >= 1
