"""Processes under measurement: their CPU time, their memory, and how they end."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

__all__ = ["Measured", "process_listening_on", "start_announcing_port"]

_STOP_SECONDS = 20.0


class Measured:
    """A process and its children.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    @property
    def is_child(self) -> bool:
        """Whether this process started it, itself or through others."""
        return psutil.Process() in self._process.parents()

    def cpu_seconds(self) -> float:
        """CPU time so far, of the process, its children and those of them that have ended."""
        total = 0.0
        for process in self._family():
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def resident_bytes(self) -> int:
        """Memory in use now."""
        return sum(process.memory_info().rss for process in self._family())

    def peak_bytes(self) -> int:
        """The most memory in use at once since `forget_peak`."""
        return sum(_peak_kibibytes(process.pid) * 1024 for process in self._family())

    def forget_peak(self) -> None:
        """Begin anew with the memory in use now."""
        for process in self._family():
            # Linux: 5 resets the high-water mark of the resident set.
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


class Served(Measured):
    """A server we started; a context manager that ends it."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        super().__init__(process.pid)
        self._popen = process
        self.target = f"127.0.0.1:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def start_announcing_port(command: Sequence[str], environment: dict[str, str]) -> Served:
    """Start a server that prints its port as its first line.

    Raises:
        RuntimeError: It ends without that.
    """
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    line = process.stdout.readline()
    if not line.strip().isdigit():
        process.kill()
        process.wait()
        raise RuntimeError(f"{command[0]} does not start; what it wrote stands above.")
    return Served(process, int(line))


def process_listening_on(port: int) -> Measured | None:
    """Return the process on this machine that listens on a loopback port, if it may be seen."""
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            return Measured(connection.pid) if connection.pid else None
    return None


def _peak_kibibytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
