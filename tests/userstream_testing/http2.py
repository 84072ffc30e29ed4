"""HTTP/2 frames by hand, for clients that no library would be: they open, reset, ping and fall silent at will.

Source: RFC 9113 (frames), RFC 7541 (literal header fields), gRPC over HTTP/2.
"""

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["Frame", "RawClient", "frame"]

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_CANCEL = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True)
class Frame:
    """One frame: its kind, flags, stream and payload."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ends_stream(self) -> bool:
        """Whether the call is over: its trailers, or a reset."""
        is_last = self.kind == HEADERS and bool(self.flags & _END_STREAM)
        return is_last or self.kind == RST_STREAM


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame's bytes."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class RawClient:
    """A connection that speaks just enough HTTP/2 for a gRPC server to believe it.

    Args:
        port: The server's, on loopback.
        source: The address to come from; any of 127.0.0.0/8.
    """

    def __init__(self, port: int, *, source: str = "127.0.0.1") -> None:
        """Connect and greet."""
        self._socket = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
        self._next_stream = 1
        self._pending = b""
        self.send(_PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, _ACK, 0, b""))

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def open_call(self, method: str, request: bytes | None = None) -> int:
        """Begin a call of UserService; without a request it waits for one. Return the stream's number."""
        stream, data = self.call_bytes(method, request)
        self.send(data)
        return stream

    def call_bytes(self, method: str, request: bytes | None = None) -> tuple[int, bytes]:
        """Return a new stream's number and the frames that begin a call on it."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        data = frame(HEADERS, _END_HEADERS, stream, _headers(method))
        if request is not None:
            data += frame(DATA, _END_STREAM, stream, struct.pack(">BI", 0, len(request)) + request)
        return stream, data

    @staticmethod
    def reset_bytes(stream: int) -> bytes:
        """Return the frame that cancels a call."""
        return frame(RST_STREAM, 0, stream, struct.pack(">I", _CANCEL))

    def ping(self) -> None:
        """Ask whether the server lives."""
        self.send(frame(PING, 0, 0, b"12345678"))

    def frames(self, within_seconds: float) -> list[Frame]:
        """Return what comes until the time is over or the connection ends."""
        found: list[Frame] = []
        deadline = time.monotonic() + within_seconds
        with suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not (data := self._socket.recv(65_536)):
                    break
                self._pending += data
                found += self._whole_frames()
        self._socket.settimeout(10)
        return found

    def is_closed_within(self, seconds: float) -> bool:
        """Say whether the server ends the connection in this time."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(65_536):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _whole_frames(self) -> list[Frame]:
        found: list[Frame] = []
        while len(self._pending) >= 9:
            end = 9 + int.from_bytes(self._pending[:3])
            if len(self._pending) < end:
                break
            head, payload = self._pending[:9], self._pending[9:end]
            found.append(Frame(head[3], head[4], int.from_bytes(head[5:9]), payload))
            self._pending = self._pending[end:]
        return found


def _headers(method: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/userstream.v1.UserService/{method}",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    # 0 begins a field that is spelt out and not remembered; all lengths here are below 127.
    return b"".join(
        b"\0" + bytes([len(n)]) + n.encode() + bytes([len(v)]) + v.encode()
        for n, v in fields.items()
    )
