"""The version of the server that an export came from, for its manifest."""

from typing import TYPE_CHECKING

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc

from userstream_client.cli._global_options import chosen_server

if TYPE_CHECKING:
    from userstream_client._channel import Connection

__all__ = ["server_version"]

_KEY = "x-userstream-version"
_SECONDS_MAX = 10.0


def server_version(target: str | None) -> str | None:
    """Return what a server says of its version with a cheap call; None where it does not say it.

    A manifest without it is better than no export, so a server that has gone away meanwhile is no error.
    """
    # Late, because it imports pydantic-settings, which help and completion need not wait for.
    from userstream_client._channel import connection_from  # noqa: PLC0415

    server = chosen_server(target)
    connection = connection_from(
        server.target,
        tls=None,
        token=server.token,
        profile=server.profile,
        timeout_seconds=None,
        attempt_timeout_seconds=None,
        resume=None,
    )
    with _open_channel(connection) as channel:
        ask = user_service_pb2_grpc.UserServiceStub(channel).PartitionUsers.with_call
        request = pb.PartitionUsersRequest(partition_count=1)
        try:
            _, call = ask(request, timeout=_SECONDS_MAX, metadata=connection.metadata)
        except grpc.RpcError:
            return None
    found = dict(call.trailing_metadata() or ()).get(_KEY)
    return found if isinstance(found, str) else None


def _open_channel(connection: "Connection") -> grpc.Channel:
    target, credentials, options = connection.channel_arguments(balanced=True)
    if credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, credentials, options)
