"""Positions: which transactions a server has executed, in few bytes, and waiting for a server to reach one.

A server of GTID_MODE=ON tells its executed set, a MariaDB its current position; any other server none. A set that is
torn into very many pieces would make every token large, so it counts as none, too.

Functions: https://dev.mysql.com/doc/refman/9.0/en/gtid-functions.html https://mariadb.com/kb/en/master_gtid_wait/
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from userstream_server.databases.mysql.connection import MySQLConnection
from userstream_server.errors import InternalError

__all__ = ["holds_position", "read_position"]

_POSITION_BYTES_MAX = 512
_MYSQL, _MARIADB = b"M", b"A"
_EXECUTED = "SELECT IF(@@GLOBAL.gtid_mode = 'ON', @@GLOBAL.gtid_executed, '')"
# The nodes of a Galera cluster do not always number transactions alike.
_CURRENT = "SELECT IF(@@GLOBAL.wsrep_on, '', @@GLOBAL.gtid_current_pos)"
_LEAST_SECONDS = 0.001
"""MySQL takes 0 for no limit."""


def read_position(connection: MySQLConnection) -> bytes:
    """Return the position of the server that a connection leads to; empty if it has none.

    Raises:
        UnavailableError: It does not answer.
    """
    try:
        if connection.is_mariadb:
            text = _value(connection, _CURRENT)
            position = _MARIADB + text if text else b""
        else:
            position = _packed(_value(connection, _EXECUTED))
    except (InternalError, ValueError):  # another engine, or a set of a new kind
        return b""
    return position if len(position) <= _POSITION_BYTES_MAX else b""


def holds_position(connection: MySQLConnection, position: bytes, seconds: float) -> bool | None:
    """Say whether a server has reached a position of another one.

    Args:
        connection: Leads to the server.
        position: From `read_position`, or whatever a token brought.
        seconds: How long to wait for it.

    Returns:
        None if the two cannot be compared.

    Raises:
        UnavailableError: It does not answer.
    """
    kind, body = position[:1], position[1:]
    with suppress(InternalError, ValueError):
        if kind == _MARIADB and connection.is_mariadb:
            return _mariadb_holds(connection, body, seconds)
        if kind == _MYSQL and not connection.is_mariadb:
            wait = "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)"
            answer = _value(connection, wait, _unpacked(body), max(_LEAST_SECONDS, seconds))
            return {b"0": True, b"1": False}.get(answer)
    return None


def _mariadb_holds(connection: MySQLConnection, position: bytes, seconds: float) -> bool:
    wanted, current = _domains(position), _domains(_value(connection, _CURRENT))
    if all(current.get(domain, -1) >= number for domain, number in wanted.items()):
        return True
    # This function looks at what was copied only, and a source copies nothing; but a source is never behind.
    wait = "SELECT MASTER_GTID_WAIT(%s, %s)"
    return _value(connection, wait, position.decode("ascii"), seconds) == b"0"


def _domains(position: bytes) -> dict[bytes, int]:
    """Return the last number of each domain of a position such as `0-1-100,1-2-30`."""
    parts = [part.split(b"-") for part in position.split(b",") if part]
    return {domain: int(number) for domain, _, number in parts}


def _value(connection: MySQLConnection, text: str, *parameters: Any) -> bytes:
    ((value,),) = (row for block in connection.blocks(text, parameters) for row in block)
    return value or b""


def _packed(executed: bytes) -> bytes:
    """Write a set such as `uuid:1-9:12,uuid:tag:1-3` with 16 bytes for each UUID; raise ValueError if it is none."""
    if not executed:
        return b""
    packed = _MYSQL
    for part in b"".join(executed.split()).split(b","):
        server, _, rest = part.partition(b":")
        packed += UUID(server.decode()).bytes + bytes([len(rest)]) + rest
    return packed


def _unpacked(body: bytes) -> str:
    """Return the set as MySQL writes it."""
    return ",".join(_parts(body))


def _parts(body: bytes) -> Iterator[str]:
    while body:
        server, length, body = UUID(bytes=body[:16]), body[16:17], body[17:]
        if not length:
            raise ValueError("a position that ends early")
        yield f"{server}:{body[: length[0]].decode('ascii')}"
        body = body[length[0] :]
