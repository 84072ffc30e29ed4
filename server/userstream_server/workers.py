"""Several server processes on one port: started together, restarted when one dies, drained together.

Each is a new process, because gRPC does not survive a fork. The kernel spreads connections over them
(SO_REUSEPORT). This process reserves the ports and serves nothing itself.
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import structlog

from userstream_server.ports import explained_port

__all__ = ["reserve_port", "run_workers"]

_log = structlog.get_logger()
_RESTART_SECONDS = 1.0
"""A worker that lived less than this is restarted only after this time, so that a broken set-up does not spin."""
_CANNOT_START = (1, 2)
"""A worker's exit code when operator action is required (docs/operations.md, exit codes)."""
_START_SECONDS = 60.0
"""Longer than any start takes. A worker that exits later did start, so it is restarted."""


def reserve_port(address: str) -> tuple[socket.socket, str]:
    """Bind an address that workers can share, without listening on it.

    Args:
        address: `host:port`; port 0 takes a free one.

    Returns:
        The socket, which reserves the port, and the address with the actual port.

    Raises:
        OSError: The port is in use.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family, kind, _, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
    # A shared bind alone would succeed on a port that another program shares, so try an unshared bind first.
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
        where = probe.getsockname()
    reserved = socket.socket(family, kind)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(where)
    shown = f"[{host}]" if ":" in host else host
    return reserved, f"{shown}:{where[1]}"


class _Worker:
    """One worker process. It ends when its standard input closes, and therefore also when this process is killed."""

    def __init__(self, number: int, arguments: list[str]) -> None:
        self.number = number
        self._arguments = arguments
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        self.started_at = time.monotonic()
        command = [sys.executable, "-m", "userstream_server", "--worker", str(self.number)]
        # The worker inherits the blocked signal: a SIGHUP that arrives before it is ready waits instead of killing it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self.process = subprocess.Popen([*command, *self._arguments], stdin=subprocess.PIPE)  # noqa: S603
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def cannot_start(self, code: int) -> bool:
        """Return whether the first start failed for a reason that a restart cannot fix."""
        soon = time.monotonic() - self.started_at < _START_SECONDS
        return self.starts == 1 and soon and code in _CANNOT_START


def run_workers(count: int, *, listen: str, health_listen: str, drain_seconds: float) -> int:
    """Run workers until SIGTERM or SIGINT; pass SIGHUP on to them.

    Args:
        count: Number of workers.
        listen: Address of the service.
        health_listen: Address of the health-only server; empty for none.
        drain_seconds: How long each worker may take to stop.

    Returns:
        The exit code: 0 if all workers stopped cleanly, a worker's own code if it cannot start, otherwise 1.

    Raises:
        OSError: A port is in use.
    """
    stop = threading.Event()
    with ExitStack() as stack:
        arguments: list[str] = []
        for option, address in (("--listen", listen), ("--health-listen", health_listen)):
            if address:
                setting = f"USERSTREAM_{option[2:].replace('-', '_').upper()}"
                with explained_port(setting, address):
                    reserved, shown = reserve_port(address)
                stack.enter_context(reserved)
                arguments += [option, shown]
        workers = [_Worker(number, arguments) for number in range(count)]
        _on_signals(stop.set, workers)
        _log.info("workers_started", workers=count, port=int(arguments[1].rpartition(":")[2]))
        return _keep_running(workers, stop) or _stop_all(workers, drain_seconds)


def _on_signals(stop: Callable[[], None], workers: list[_Worker]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())

    def reload(*_: object) -> None:
        for worker in workers:
            worker.process.send_signal(signal.SIGHUP)

    signal.signal(signal.SIGHUP, reload)


def _keep_running(workers: list[_Worker], stop: threading.Event) -> int:
    """Restart workers that die until told to stop; return the exit code of a worker that cannot start, else 0."""
    while not stop.wait(0.1):
        for worker in workers:
            code = worker.process.poll()
            if code is not None and worker.cannot_start(code):
                _stop_all(workers, 0)
                return code
            if code is None or time.monotonic() - worker.started_at < _RESTART_SECONDS:
                continue
            _log.error("worker_died", worker=worker.number, code=code)
            worker.start()
    return 0


def _stop_all(workers: list[_Worker], drain_seconds: float) -> int:
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + drain_seconds + 10
    for worker in workers:
        try:
            worker.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.error("worker_killed", worker=worker.number)
            worker.process.kill()
            worker.process.wait()
    return int(any(worker.process.returncode for worker in workers))
