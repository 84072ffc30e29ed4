"""A hand-written HTTP/2 peer that breaks streams below gRPC: with RST_STREAM, GOAWAY or a closed socket.

Only what a client needs to believe it: SETTINGS, one response with one message, then the break.
Source: RFC 9113 (frames), RFC 7541 (literal header fields), gRPC over HTTP/2.
"""

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from google.protobuf.message import Message

from userstream_testing.http2 import frame

__all__ = ["Break", "ResettingServer"]

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_PREFACE_BYTES = 24
_ACK = 1
_END_HEADERS = 4


@dataclass(frozen=True)
class Break:
    """How a stream breaks.

    Attributes:
        message: Sent first; None breaks before anything came.
        reset_code: Of RST_STREAM; None closes the connection.
        goaway_code: Of a GOAWAY sent before the connection is closed.
    """

    message: Message | None = None
    reset_code: int | None = None
    goaway_code: int | None = None


class ResettingServer:
    """Breaks each stream that comes.

    Args:
        how: In which way.

    Attributes:
        target: Where it listens.
        stream_count: How many streams came.
    """

    def __init__(self, how: Break) -> None:
        """Listen; `with` starts and stops it."""
        self._how = how
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.stream_count = 0
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A plain close would leave the thread in accept() or recv().
        for open_socket in (self._listener, self._connection):
            if open_socket is not None:
                with suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connection = connection
            with connection:
                # Between two tests' calls the client may hang up at any point.
                try:
                    self._serve(connection)
                except OSError:
                    continue

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        _read(connection, _PREFACE_BYTES)
        connection.sendall(frame(_SETTINGS, 0, 0, b""))
        while True:
            head = _read(connection, 9)
            length = int.from_bytes(head[:3])
            kind, flags = head[3], head[4]
            stream = int.from_bytes(head[5:9]) & 0x7FFFFFFF
            _read(connection, length)
            if kind == _SETTINGS and not flags & _ACK:
                connection.sendall(frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _HEADERS:
                self.stream_count += 1
                connection.sendall(self._answer(stream))
                if self._how.reset_code is None:
                    return

    def _answer(self, stream: int) -> bytes:
        answer = b""
        if self._how.message is not None:
            # 0x88 is ":status: 200" of HPACK's table; 0x5f names content-type of the same table.
            kind = b"application/grpc"
            answer += frame(_HEADERS, _END_HEADERS, stream, b"\x88\x5f" + bytes([len(kind)]) + kind)
            body = self._how.message.SerializeToString()
            answer += frame(_DATA, 0, stream, struct.pack(">BI", 0, len(body)) + body)
        if self._how.goaway_code is not None:
            answer += frame(_GOAWAY, 0, 0, struct.pack(">II", stream, self._how.goaway_code))
        if self._how.reset_code is not None:
            answer += frame(_RST_STREAM, 0, stream, struct.pack(">I", self._how.reset_code))
        return answer


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
