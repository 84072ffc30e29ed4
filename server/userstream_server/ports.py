"""Ports that cannot be listened on: which setting names them, why the system refuses them, and what to do."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["check_port", "explained_port"]

_ADVICE = {
    errno.EADDRINUSE: "stop the program that listens there, or set {setting} to another port",
    errno.EADDRNOTAVAIL: "set {setting} to an address of this machine",
    errno.EACCES: "set {setting} to a port from 1024, or allow this user lower ones",
}


@contextmanager
def explained_port(setting: str, address: str) -> Iterator[None]:
    """Name the address and the next step where the system refuses a port in the `with` block.

    Args:
        setting: The setting that holds the address, such as `USERSTREAM_LISTEN`.
        address: `host:port`.

    Raises:
        OSError: The block raised one; its text says why and what to do.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number in _ADVICE else str(error.strerror or error)
        advice = _ADVICE.get(number, "look at {setting}").format(setting=setting)
        raise OSError(f"cannot listen on {address}: {reason}; {advice}") from None


def check_port(setting: str, address: str) -> None:
    """Make sure that an address can be listened on, without listening on it.

    gRPC would find out itself, but with a line of its own in the log beside ours.

    Args:
        setting: The setting that holds the address.
        address: `host:port`; port 0 is any free one.

    Raises:
        OSError: It cannot; the text says why and what to do.
    """
    host, _, port = address.rpartition(":")
    with explained_port(setting, address):
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, _, _, where = found[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
