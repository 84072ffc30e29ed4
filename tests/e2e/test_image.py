"""The container image, built from deploy/Containerfile: it serves a real MySQL to the client, and stops cleanly."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from userstream_client import UserStreamClient
from userstream_client.errors import UserStreamError
from userstream_testing.mysql_server import free_port
from userstream_testing.repository import ROOT
from userstream_testing.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        os.getuid() != 0 or shutil.which("apt-get") is None,
        reason="scripts/image needs root on Debian or Ubuntu",
    ),
]
NAME = "localhost/userstream-test"


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """Build the image and yield a container of it."""
    subprocess.run([ROOT / "scripts/image", NAME], check=True, stdin=subprocess.DEVNULL)
    made = subprocess.run(
        ["buildah", "from", NAME], check=True, capture_output=True, text=True
    ).stdout.strip()
    yield made
    subprocess.run(["buildah", "rm", made], check=True, capture_output=True)
    subprocess.run(["buildah", "rmi", NAME], check=True, capture_output=True)


def command(container: str, settings: dict[str, str], *arguments: str) -> list[str]:
    """Return what runs a program in the container, in the network of this machine."""
    environment = [f"--env={name}={value}" for name, value in settings.items()]
    return ["buildah", "run", "--isolation", "chroot", *environment, container, "--", *arguments]


def run(container: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(container, settings, *arguments), capture_output=True, text=True, check=False
    )


@contextmanager
def serving(
    container: str, settings: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the image's server; end it with SIGTERM if the block has not."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(container, settings, "userstream-server"), stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Send SIGTERM to the server, which buildah's own processes do not pass on; return the exit code."""
    if process.poll() is None:
        found = subprocess.run(
            ["pgrep", "--full", "^/opt/userstream/bin/python.* /opt/userstream/bin/userstream-server"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        for pid in map(int, found.stdout.split()):
            os.kill(pid, signal.SIGTERM)
    return process.wait(60)


def test_image_refuses_to_guess(container: str) -> None:
    """Without TLS or a word about it the server does not start, and says what to set."""
    ended = run(container, "userstream-server")

    assert ended.returncode == 2
    assert "USERSTREAM_ALLOW_PLAINTEXT" in ended.stderr


def test_image_holds_what_runs_and_no_more(container: str) -> None:
    """No root, no compiler, no pip; the C path is there."""
    script = (
        "import os, shutil, userstream_server.databases.mysql as m; "
        "print(os.getuid(), [n for n in ('gcc', 'cc', 'pip', 'pip3') if shutil.which(n)], "
        "os.path.exists(os.path.join(os.path.dirname(m.__file__), 'libnative_rows.so')))"
    )
    ended = run(container, "python3", "-c", script)

    assert ended.stdout.strip() == "10001 [] True"


def test_image_serves_mysql(container: str, reader_url: str, tmp_path: Path) -> None:
    """A stream from the container is whole, health answers inside it, and SIGTERM ends it with exit code 0."""
    port, health_port = free_port(), free_port()
    settings = {
        "USERSTREAM_DATABASE_URL": reader_url,
        "USERSTREAM_LISTEN": f"127.0.0.1:{port}",
        "USERSTREAM_HEALTH_LISTEN": f"127.0.0.1:{health_port}",
    }
    log = tmp_path / "server.log"
    with (
        serving(container, settings, log) as process,
        UserStreamClient(f"127.0.0.1:{port}") as client,
    ):
        until(lambda: is_serving(client), within_seconds=60)
        users = sum(1 for _ in client.stream_users())
        probe = run(container, "userstream", "health", "--target", f"127.0.0.1:{health_port}")
        check = run(container, "userstream-server", "--check", **settings)
        code = stop(process)

    assert users == 60_000
    assert (probe.returncode, probe.stdout) == (0, "SERVING\n")
    assert code == 0
    assert "C extension, rows encoded in C" in check.stdout


def is_serving(client: UserStreamClient) -> bool:
    try:
        return client.health().serving
    except UserStreamError:
        return False
