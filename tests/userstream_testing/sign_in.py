"""Servers with TLS and callers with tokens."""

from signal import SIGHUP
from typing import Any

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1.user_service_pb2_grpc import UserServiceStub

from userstream_testing.calls import RichError, rich_error
from userstream_testing.certificates import Authority
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

__all__ = ["bearer", "failure", "hang_up", "tls", "user_count"]


def tls(authority: Authority, *, clients: bool = False) -> dict[str, object]:
    """Return the settings for a new certificate of the server's own."""
    pair = authority.issue("server")
    client_ca = {"TLS_CLIENT_CA": authority.ca} if clients else {}
    return {"TLS_CERT": pair.cert, "TLS_KEY": pair.key, **client_ca}


def user_count(channel: grpc.Channel, **options: Any) -> int:
    """Return how many users a caller is told of."""
    stub: Any = UserServiceStub(channel)
    return int(stub.AverageAge(pb.AverageAgeRequest(), timeout=10, **options).user_count)


def failure(channel: grpc.Channel, **options: Any) -> RichError:
    """Return how a caller is refused."""
    stub: Any = UserServiceStub(channel)
    return rich_error(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10, **options))


def bearer(token: str) -> dict[str, Any]:
    """Return the options of a call with a token."""
    return {"metadata": [("authorization", f"Bearer {token}")]}


def hang_up(server: ServerProcess, event: str = "reloaded") -> None:
    """Send SIGHUP and wait until the server says that it has reloaded, or failed to."""
    before = len(server.events(event))
    server.process.send_signal(SIGHUP)
    until(lambda: len(server.events(event)) > before)
