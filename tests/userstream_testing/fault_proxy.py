"""A TCP proxy on loopback that breaks connections to order."""

import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from types import TracebackType
from typing import Self

__all__ = ["FaultProxy", "Plan"]

_BUFFER_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on with no time: close() sends RST


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one connection, on its way from server to client.

    Attributes:
        cut_after: Close both sides after so many bytes; None for never.
        cut_request_after: The same for bytes on their way from client to server.
        reset: Close with RST instead of FIN.
        hang_after: Let nothing through after so many bytes, and close nothing; None for never.
        latency_seconds: Hold each piece back for so long.
        slice_bytes: The largest piece passed on at once.
    """

    cut_after: int | None = None
    cut_request_after: int | None = None
    reset: bool = False
    hang_after: int | None = None
    latency_seconds: float = 0.0
    slice_bytes: int = _BUFFER_BYTES


class FaultProxy:
    """Passes connections on to a server, or to several in turn; a context manager.

    Args:
        ports: The servers' ports on loopback.

    Attributes:
        plans: One for each connection to come, in order; those beyond are left alone.
        target: Where clients connect.
        passed: Bytes sent to the client so far, of each connection.
    """

    def __init__(self, *ports: int) -> None:
        """Start listening."""
        self._servers = cycle([("127.0.0.1", port) for port in ports])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._passing = threading.Event()
        self._passing.set()
        self.plans: deque[Plan] = deque()
        self.passed: list[int] = []
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_off(self) -> None:
        """Let nothing through and close nothing, on any connection, as a network that drops everything."""
        self._passing.clear()

    def restore(self) -> None:
        """Let everything through again, also what was held back."""
        self._passing.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._passing.set()
        # Closing alone would leave accept() waiting.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = list(self._open)
        self._close(*ends)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(next(self._servers))
            except OSError:
                # The server is down: what comes through a real balancer is a closed connection, too.
                self._close(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
                plan = self.plans.popleft() if self.plans else Plan()
                number = len(self.passed)
                self.passed.append(0)
            threading.Thread(target=self._up, args=(client, server, plan), daemon=True).start()
            threading.Thread(
                target=self._down, args=(client, server, plan, number), daemon=True
            ).start()

    def _up(self, client: socket.socket, server: socket.socket, plan: Plan) -> None:
        left = plan.cut_request_after
        with suppress(OSError):
            while data := client.recv(_BUFFER_BYTES if left is None else min(left, _BUFFER_BYTES)):
                self._passing.wait()
                server.sendall(data)
                if left is not None:
                    left -= len(data)
        self._close(client, server)

    def _down(self, client: socket.socket, server: socket.socket, plan: Plan, number: int) -> None:
        with suppress(OSError):
            while piece := server.recv(self._room(plan, number)):
                time.sleep(plan.latency_seconds)
                self._passing.wait()
                client.sendall(piece)
                self.passed[number] += len(piece)
                if self.passed[number] == plan.hang_after:
                    self._closing.wait()
                if self.passed[number] == plan.cut_after:
                    break
        if plan.reset:
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close(client, server)

    def _room(self, plan: Plan, number: int) -> int:
        """Return how many bytes may be taken next without passing a border of the plan."""
        borders = [b for b in (plan.cut_after, plan.hang_after) if b is not None]
        return min([plan.slice_bytes, *(b - self.passed[number] for b in borders)])

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            with self._lock:
                self._open.discard(end)
            # Another thread may be waiting on it.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
