"""Starting, health, and stopping, as an operator sees them."""

import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_server.version import VERSION
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.mysql_server import PrivateServer, free_port
from userstream_testing.server_process import ServerProcess, run_to_end

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health(port: int, service: str = "") -> int:
    """Ask a server's health."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status)


def wait_until(port: int, status: int, within_seconds: float = 20) -> None:
    """Wait until a server's health is as wished."""
    deadline = time.monotonic() + within_seconds
    while health(port) != status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_embedded_database_is_filled_at_first_start(tmp_path: Path) -> None:
    """Without any setting there is a server with the sample's 1,000 users; a second start changes nothing."""
    for _ in range(2):
        with ServerProcess({}, folder=tmp_path) as server, stub_for(server.target) as stub:
            answer = stub.AverageAge(pb.AverageAgeRequest())
            server.terminate()
        assert answer.user_count == 1000
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("server-")) == [
        "userstream.db"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USERSTREAM_DATABASE_URL", "mysql://u:topsecret@host:port/db"),
        ("USERSTREAM_DATABASE_URL", "postgres://u:topsecret@host/db"),
        ("USERSTREAM_LISTEN", "topsecret"),
        ("USERSTREAM_LISTEN", "0.0.0.0:50051"),
        ("USERSTREAM_LISTEN", "[::]:50051"),
        ("USERSTREAM_LISTEN", "127.0.0.1.example:50051"),
        ("USERSTREAM_POOL_SIZE", "topsecret"),
        ("USERSTREAM_POOL_SIZE", "0"),
        ("USERSTREAM_LOG_LEVEL", "topsecret"),
        ("USERSTREAM_TLS_CERT", "/nowhere.pem"),
    ],
)
def test_a_bad_setting(tmp_path: Path, name: str, value: str) -> None:
    """Exit code 2 and a line that names the variable and not its value."""
    done = run_to_end({name: value}, tmp_path)

    assert done.returncode == 2
    assert name in done.stderr
    assert "topsecret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_password_at_start(tmp_path: Path, mysql_database: str) -> None:
    """Exit code 1 and one line, without the driver's words."""
    url = mysql_database.replace("tester:", "tester:wrong-")
    done = run_to_end({"USERSTREAM_DATABASE_URL": url}, tmp_path)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "refuses the user or the password" in done.stderr


def test_a_missing_table_at_start(tmp_path: Path, mysql_database: str) -> None:
    """Exit code 1 and a line that says how to make the table; `--check` says the same."""
    execute(
        mysql_database.rpartition("/")[0], f"CREATE DATABASE {mysql_database.rpartition('/')[2]}"
    )
    for arguments in ((), ("--check",)):
        done = run_to_end({"USERSTREAM_DATABASE_URL": mysql_database}, tmp_path, *arguments)

        assert done.returncode == 1
        assert "userstream-server seed" in done.stderr + done.stdout


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")])
def test_a_port_that_is_taken(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A second server does not start beside the first: one line with the next step, and none of gRPC's own."""
    with ServerProcess({}, folder=tmp_path) as server:
        done = run_to_end({"USERSTREAM_LISTEN": server.target}, tmp_path, *arguments)

    assert done.returncode == 1
    assert done.stderr == (
        f"userstream-server: cannot listen on {server.target}: Address already in use; stop the program that"
        " listens there, or set USERSTREAM_LISTEN to another port\n"
    )


def test_a_health_port_that_is_taken(tmp_path: Path) -> None:
    """The line names the setting of that port."""
    with ServerProcess({}, folder=tmp_path) as server:
        done = run_to_end({"USERSTREAM_HEALTH_LISTEN": server.target}, tmp_path)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "USERSTREAM_HEALTH_LISTEN" in done.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(tmp_path: Path, option: str) -> None:
    """It has examples, and the name of the program rather than of its module."""
    done = run_to_end({}, tmp_path, option)

    assert (0, "") == (done.returncode, done.stderr)
    assert "Usage: userstream-server [OPTIONS]" in done.stdout
    assert "userstream-server seed --sample" in done.stdout


def test_version(tmp_path: Path) -> None:
    """One line, without settings or a database."""
    done = run_to_end({"USERSTREAM_LISTEN": "wrong"}, tmp_path, "--version")

    assert (0, f"userstream-server {VERSION}\n") == (done.returncode, done.stdout)


def test_check_says_what_is_there(tmp_path: Path, shared_url: str) -> None:
    """`--check` is quiet about secrets and exits 0 where all is well."""
    done = run_to_end({"USERSTREAM_DATABASE_URL": shared_url}, tmp_path, "--check")

    assert done.returncode == 0
    assert "user_data fits" in done.stdout
    assert "FAIL" not in done.stdout
    password = DatabaseUrl.parse(shared_url).password
    assert not password or password not in done.stdout + done.stderr


def test_health_by_either_name(shared_server: ServerProcess) -> None:
    """The main port answers for "" and for the service by name."""
    assert health(shared_server.port) == SERVING
    assert health(shared_server.port, "userstream.v1.UserService") == SERVING


def test_a_database_that_comes_and_goes(tmp_path: Path) -> None:
    """Down at start: NOT_SERVING and UNAVAILABLE; up: SERVING; down again and up again, without a restart."""
    with PrivateServer() as mysql:
        seed_synthetic(DatabaseUrl.parse(f"{mysql.url}/ALX_prodev"), 100)
        mysql.kill()
        settings = {
            "USERSTREAM_DATABASE_URL": f"{mysql.url}/ALX_prodev",
            "USERSTREAM_HEALTH_LISTEN": f"127.0.0.1:{free_port()}",
            "USERSTREAM_HEALTH_POLL_SECONDS": "0.1",
        }
        with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
            assert server.health_port is not None
            for _ in range(2):
                wait_until(server.health_port, NOT_SERVING)
                error = rich_error(stub.StreamUsers(pb.StreamUsersRequest()))
                assert error.code is grpc.StatusCode.UNAVAILABLE
                assert error.info.reason == "DATABASE_UNAVAILABLE"
                assert error.retry_seconds is not None
                mysql.start()
                wait_until(server.health_port, SERVING)
                messages = list(stub.StreamUsers(pb.StreamUsersRequest()))
                assert messages[-1].receipt.user_count == 100
                mysql.kill()


def test_sigterm_lets_a_stream_finish(server: ServerProcess) -> None:
    """A stream that runs when SIGTERM comes is served to its end, and the server exits 0."""
    with stub_for(server.target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest(max_users_per_message=1))
        next(call)
        stopping = threading.Thread(target=server.terminate)
        stopping.start()
        messages = list(call)
        stopping.join()

    assert messages[-1].receipt.user_count == 1234
    assert server.process.returncode == 0


def test_sigterm_ends_a_stalled_stream(seeded_url: str, tmp_path: Path) -> None:
    """A consumer that does not read holds up the exit for as long as a slow one may take its last message, 5 s."""
    seed_synthetic(DatabaseUrl.parse(seeded_url), 60_000)
    settings = {"USERSTREAM_DATABASE_URL": seeded_url, "USERSTREAM_DRAIN_SECONDS": "0.5"}
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        call = stub.StreamUsers(pb.StreamUsersRequest())
        next(call)
        began = time.monotonic()
        code = server.terminate()
        took = time.monotonic() - began
        error = rich_error(call)

    assert code == 0
    assert took < 0.25 + 0.5 + 5 + 2
    assert error.code is grpc.StatusCode.UNAVAILABLE


def test_sigint_stops_too(server: ServerProcess) -> None:
    """Ctrl-C is as good as SIGTERM."""
    server.process.send_signal(signal.SIGINT)

    assert server.process.wait(20) == 0
