"""Switching telemetry on and off, and what is missing on the way."""

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.calls import stub_for
from userstream_testing.mysql_server import free_port
from userstream_testing.scrapes import scrape
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

METRICS = "USERSTREAM_METRICS_LISTEN"


def two_free_ports() -> int:
    """Return a loopback port that is free just now, as is the next one."""
    while True:
        port = free_port()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port


def test_off_by_default(tmp_path: Path) -> None:
    """Nobody who asks for no telemetry imports it."""
    program = (
        "import sys, userstream_server.__main__, userstream_server.rpc.server;"
        "print([name for name in sys.modules if 'telemetry' in name or 'prometheus' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "['userstream_server.telemetry']"
    with ServerProcess({}, folder=tmp_path) as server:
        assert server.metrics_port is None


def test_a_port_for_metrics_that_is_taken(tmp_path: Path) -> None:
    """The server does not start without the metrics it was told to serve."""
    with ServerProcess({METRICS: "127.0.0.1:0"}, folder=tmp_path) as server:
        taken = f"127.0.0.1:{server.metrics_port}"
        with pytest.raises(
            RuntimeError, match=f"userstream-server: cannot serve metrics on {taken}"
        ):
            ServerProcess({METRICS: taken}, folder=tmp_path)


def test_a_measured_server_stops_in_good_order(tmp_path: Path) -> None:
    """With everything on and no collector of spans anywhere, SIGTERM still ends the process soon, with exit code 0."""
    settings = {
        METRICS: "127.0.0.1:0",
        "USERSTREAM_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        list(stub.StreamUsers(pb.StreamUsersRequest()))
        assert server.terminate(timeout_seconds=15) == 0

    assert all(line.startswith("{") for line in server.log.splitlines())


def test_every_worker_has_its_own_metrics(tmp_path: Path) -> None:
    """Worker N serves its numbers on the port plus N; together they hold all that was sent."""
    base = two_free_ports()
    settings = {METRICS: f"127.0.0.1:{base}"}
    with ServerProcess(settings, folder=tmp_path, arguments=("--workers", "2")) as server:
        until(lambda: len(server.events("started")) == 2)
        for _ in range(12):
            with stub_for(server.target) as stub:
                list(stub.StreamUsers(pb.StreamUsersRequest()))
        rows = []
        for started in sorted(server.events("started"), key=lambda line: line["worker"]):
            server.metrics_port = started["metrics_port"]
            rows.append(scrape(server).total("userstream_rows_total"))
            assert server.metrics_port == base + started["worker"]
        assert server.terminate() == 0

    assert sum(rows) == 12_000
    assert len(rows) == 2
