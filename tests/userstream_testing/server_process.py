"""Our own server as a real process on a real port."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["ServerProcess", "run_to_end", "serving"]

_START_SECONDS = 30.0


class ServerProcess:
    """`userstream-server` with the given settings and nothing else of the environment's.

    Args:
        settings: `USERSTREAM_…` variables; the port is free unless they name one.
        folder: Its working directory; the log is written there.
        arguments: Command-line arguments.
        module: What to run instead of the server itself, for one that is changed in some way.

    Attributes:
        port: Where it listens.
        target: The same for a client.
        health_port: Where its server for health alone listens, if it has one.
        metrics_port: Where it serves metrics, if it does.
    """

    def __init__(
        self,
        settings: dict[str, str],
        *,
        folder: Path,
        arguments: tuple[str, ...] = (),
        module: str = "userstream_server",
    ) -> None:
        """Start it and wait until it listens."""
        self._log = folder / f"server-{time.monotonic_ns()}.log"
        self._environment = _environment(settings)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self._environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        started = self._wait_for("workers_started" if "--workers" in arguments else "started")
        self.port = int(started["port"])
        self.health_port: int | None = started.get("health_port")
        self.metrics_port: int | None = started.get("metrics_port")
        self.target = f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All it has written so far."""
        return self._log.read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return its log lines of one event."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def terminate(self, timeout_seconds: float = 30) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    def _wait_for(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if found := self.events(event):
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        log = self.log
        self.kill()
        raise RuntimeError(f"userstream-server does not start:\n{log}")


def run_to_end(
    settings: dict[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a server that must end by itself; return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "userstream_server", *arguments],
        env=_environment(settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _environment(settings: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("USERSTREAM_")}
    return kept | {"USERSTREAM_LISTEN": "127.0.0.1:0"} | settings


@contextmanager
def serving(url: str, folder: Path, *arguments: str, **settings: object) -> Iterator[ServerProcess]:
    """Yield a server over a database, which must end well on SIGTERM.

    Args:
        url: The database.
        folder: Its working directory.
        arguments: Command-line arguments.
        settings: Settings without their prefix, such as `STREAMS_MAX=3`.
    """
    given = {f"USERSTREAM_{name}": str(value) for name, value in settings.items()}
    given = {"USERSTREAM_DATABASE_URL": url} | given
    with ServerProcess(given, folder=folder, arguments=arguments) as server:
        yield server
        assert server.terminate() == 0
