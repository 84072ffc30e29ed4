"""Ends the connections of this process to a host that no longer answers.

The driver reads with a time limit as long as a query may take, and it offers no way to wake such a read. The sockets
are found among the process's open files.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

__all__ = ["addresses_of", "shut_down"]

_OPEN_FILES = (Path("/proc/self/fd"), Path("/dev/fd"))


def addresses_of(host: str, port: int) -> frozenset[tuple[str, int]]:
    """Return the numeric addresses a host has now; none if its name is unknown."""
    with suppress(OSError):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return frozenset((str(address[4][0]), port) for address in found)
    return frozenset()


def shut_down(addresses: frozenset[tuple[str, int]]) -> int:
    """Shut down every TCP connection of this process to some addresses; a read on one ends at once.

    Returns:
        How many there were.
    """
    return sum(_shut_down(number, addresses) for number in _open_files())


def _shut_down(number: int, addresses: frozenset[tuple[str, int]]) -> bool:
    """Shut an open file down if it is such a connection; say whether it was."""
    with suppress(OSError):
        # The copy keeps the socket: nobody can put another file in its place meanwhile.
        copy = os.dup(number)
        try:
            return _shut_down_socket(copy, addresses)
        finally:
            os.close(copy)
    return False


def _shut_down_socket(number: int, addresses: frozenset[tuple[str, int]]) -> bool:
    found = socket.socket(fileno=number)
    try:
        leads_there = found.getpeername()[:2] in addresses
        if leads_there:
            found.shutdown(socket.SHUT_RDWR)
    finally:
        found.detach()
    return leads_there


def _open_files() -> list[int]:
    folder = next((folder for folder in _OPEN_FILES if folder.is_dir()), None)
    return [int(file.name) for file in folder.iterdir()] if folder else []
