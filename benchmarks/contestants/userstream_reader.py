"""One way of reading all users of a server in Python: a process that prints the users and its own seconds.

The plain stub is what our client replaces: generated code, a loop, every field touched, nothing verified.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream.v1 import user_service_pb2_grpc
from userstream_client import AsyncUserStreamClient, UserFilter, UserStreamClient, _decoding

__all__ = ["WAYS"]

_EVERYONE = UserFilter(age_over=-1)


def _plain_stub(target: str) -> int:
    users = 0
    options = [("grpc.max_receive_message_length", 64 << 20)]
    with grpc.insecure_channel(target, options=options) as channel:
        stub = user_service_pb2_grpc.UserServiceStub(channel)
        for message in stub.StreamUsers(pb.StreamUsersRequest()):
            for user in message.users:
                _ = user.user_id, user.name, user.email, user.age
                users += 1
    return users


def _stream(target: str) -> int:
    users = 0
    with UserStreamClient(target) as client:
        for user in client.stream_users():
            _ = user.user_id, user.name, user.email, user.age
            users += 1
    return users


def _chunks(target: str) -> int:
    with UserStreamClient(target) as client:
        return sum(len(users) for users in client.stream_users().chunks())


def _batches(target: str) -> int:
    with UserStreamClient(target) as client:
        return sum(len(users) for users in client.batch_users(1000, _EVERYONE))


def _asyncio_chunks(target: str) -> int:
    async def read() -> int:
        async with AsyncUserStreamClient(target) as client:
            return sum([len(users) async for users in client.stream_users().chunks()])

    return asyncio.run(read())


def _record_batches(target: str) -> int:
    with UserStreamClient(target) as client:
        return sum(len(batch) for batch in client.stream_users().record_batches())


def _table(target: str) -> int:
    with UserStreamClient(target) as client:
        rows: int = client.stream_users().to_arrow().num_rows
        return rows


WAYS: dict[str, Callable[[str], int]] = {
    "plain-stub": _plain_stub,
    "stream": _stream,
    "chunks": _chunks,
    "batches": _batches,
    "asyncio-chunks": _asyncio_chunks,
    "record-batches": _record_batches,
    "table": _table,
}


def main() -> None:
    """Read by the way that is named, without the compiled decoder if so told."""
    target, way, *without = sys.argv[1:]
    if without:
        # As where there was no compiler at installation.
        vars(_decoding)["load_decoder"] = lambda: None
    # Imports and settings are read once in a program; they are not what is measured.
    UserStreamClient(target).close()
    if way in {"record-batches", "table"}:
        import userstream_client.arrow  # noqa: F401, PLC0415
    begin = time.perf_counter()
    users = WAYS[way](target)
    print(json.dumps({"users": users, "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
